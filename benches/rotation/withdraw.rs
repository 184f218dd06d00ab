//! How long the connections of many revoked clients live on once a list names them all.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Outcome;
use crate::load::{Aim, Connection};
use crate::material::Material;

/// Clients that are revoked in one go, each with a certificate of its own.
pub const CLIENTS: u32 = 2000;

/// Between two looks at who is still connected.
const LOOK: Duration = Duration::from_millis(5);

/// Longest wait for the last one.
const PATIENCE: Duration = Duration::from_secs(60);

/// When the first, the median and the last connection was gone, counted from the list's rename.
pub async fn withdraw(aim: &Aim, material: &mut Material) -> Outcome<[Duration; 3]> {
    let mut connected = Vec::new();
    for number in 0..CLIENTS {
        let tls = material.numbered_client(u128::from(number))?;
        let aim = Aim { tls, ..aim.clone() };
        let mut connection = Connection::open(&aim).await?;
        connection.shoot(&aim.shot).await?;
        connected.push(connection);
    }
    let list = material.stage_list(u128::from(CLIENTS))?;
    list.publish()?;
    let began = Instant::now();
    let mut gone = Vec::new();
    while !connected.is_empty() && began.elapsed() < PATIENCE {
        sleep(LOOK).await;
        let before = connected.len();
        connected.retain(|connection| !is_over(connection));
        gone.extend(std::iter::repeat_n(began.elapsed(), before - connected.len()));
    }
    match (gone.first(), gone.get(gone.len() / 2), gone.last()) {
        (Some(first), Some(median), Some(last)) if connected.is_empty() => {
            Ok([*first, *median, *last])
        }
        _ => Err(format!("{} revoked clients are still connected", connected.len()).into()),
    }
}

fn is_over(connection: &Connection) -> bool {
    match connection {
        Connection::One(sender) => sender.try_lock().is_ok_and(|sender| sender.is_closed()),
        Connection::Two(sender) => sender.is_closed(),
    }
}
