//! The way of a path through folders and symbolic links, for watching it and for saying where it
//! ends. Blocks on the file system.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The folder of each link on the way, in order.
    pub(super) links: Vec<PathBuf>,
    /// The last place of it, which need not exist.
    pub(super) end: PathBuf,
    /// The first folder that this process may not look into.
    pub(super) closed: Option<PathBuf>,
}

impl Way {
    /// Follows a path; `None` where there is no current folder to begin at.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let mut left = names(&path);
        let mut way = Self { links: Vec::new(), end: PathBuf::from("/"), closed: None };
        while let Some(name) = left.pop_front() {
            if name == ".." {
                way.end.pop();
                continue;
            }
            let next = way.end.join(&name);
            match std::fs::read_link(&next) {
                Ok(target) if way.links.len() < MOST_LINKS => {
                    way.links.push(way.end.clone());
                    if target.is_absolute() {
                        way.end = PathBuf::from("/");
                    }
                    for name in names(&target).into_iter().rev() {
                        left.push_front(name);
                    }
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    way.closed.get_or_insert_with(|| way.end.clone());
                }
                Ok(_) | Err(_) => {}
            }
            way.end = next;
        }
        Some(way)
    }
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::CurDir | Component::Prefix(_) | Component::RootDir => None,
        })
        .collect()
}

/// As many symbolic links as Linux follows in one path.
const MOST_LINKS: usize = 40;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_way_through_links_ends_where_they_lead_and_a_circle_ends() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        symlink("real", root.join("live")).unwrap();
        symlink("../live/tls.crt", root.join("real/first")).unwrap();
        let way = Way::of(&root.join("live/first")).unwrap();
        assert_eq!(way.end, root.join("real/tls.crt"));
        assert_eq!(way.links, [root.clone(), root.join("real"), root.clone()]);
        assert_eq!(way.closed, None);
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(Way::of(&root.join("a")).unwrap().links.len(), MOST_LINKS);
    }
}
