//! Folders that are swapped, replaced and made anew, with the files in them.

use std::os::unix::fs::symlink;

use super::*;

#[tokio::test]
async fn t17_a_hundred_swaps_of_a_kubernetes_volume_are_all_seen() {
    let write = |dir: &Path| {
        let live = dir.join("live");
        fs::create_dir_all(live.join("..0")).unwrap();
        fs::write(live.join("..0/tls.crt"), "0").unwrap();
        fs::write(live.join("..0/tls.key"), "0").unwrap();
        symlink("..0", live.join("..data")).unwrap();
        symlink("..data/tls.crt", live.join("tls.crt")).unwrap();
        symlink("..data/tls.key", live.join("tls.key")).unwrap();
    };
    let pace = Pace { settle: Duration::from_millis(6), ..quick() };
    let scene = scene(write, pace, true).await;
    let live = scene.dir.path().join("live");
    for round in 1..=100 {
        let (text, folder) = (round.to_string(), live.join(format!("..{round}")));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("tls.crt"), &text).unwrap();
        fs::write(folder.join("tls.key"), &text).unwrap();
        symlink(format!("..{round}"), live.join("..data_tmp")).unwrap();
        fs::rename(live.join("..data_tmp"), live.join("..data")).unwrap();
        fs::remove_dir_all(live.join(format!("..{}", round - 1))).unwrap();
        scene.until_served(&text).await;
    }
}

#[tokio::test]
async fn a_folder_replaced_as_a_whole_is_seen_twice() {
    let scene = scene(plain, quick(), true).await;
    for text in ["second", "third"] {
        let fresh = scene.dir.path().join("fresh");
        fs::create_dir(&fresh).unwrap();
        fs::write(fresh.join("tls.crt"), text).unwrap();
        fs::write(fresh.join("tls.key"), text).unwrap();
        let live = scene.dir.path().join("live");
        fs::rename(&live, scene.dir.path().join(format!("before-{text}"))).unwrap();
        fs::rename(&fresh, &live).unwrap();
        scene.until_served(text).await;
    }
}

/// Scenario: the folder is removed and made anew, which gives it the inode of the old one on many
/// file systems; later files in it change.
/// Guarantees: events of the new folder arrive as those of the old one did.
#[tokio::test]
async fn a_folder_removed_and_made_again_is_watched_as_before() {
    let scene = scene(plain, quick(), true).await;
    let live = scene.dir.path().join("live");
    for round in 1..=3 {
        fs::remove_dir_all(&live).unwrap();
        fs::create_dir(&live).unwrap();
        for text in [format!("made {round}"), format!("changed {round}")] {
            fs::write(&scene.cert, &text).unwrap();
            fs::write(&scene.key, &text).unwrap();
            scene.until_served(&text).await;
        }
    }
}
