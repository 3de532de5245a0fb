//! Disks whose power can be cut: ext4 on a loop device, and what its backing file held.
//!
//! A copy of the backing file is what a disk would hold if the power went at that instant: what
//! the file system has not sent to its device yet is not in it. The backing files lie on XFS, which
//! clones a file in one step; so a copy can be taken in the middle of a flush, too, and holds the
//! writes in the order the device was given them, the last of them perhaps without its
//! successors. Writes that a disk would reorder are left to the store's own test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::lab::netns;

/// The size of the file system that holds the disks. Sparse: little of it is ever used.
const SHELF_BYTES: u64 = 1 << 30;
/// The size of a disk.
const DISK_BYTES: u64 = 48 << 20;

/// Where the disks' backing files lie.
#[derive(Debug)]
pub struct Shelf {
    mount: Mount,
    dir: TempDir,
}

impl Shelf {
    /// Makes one.
    pub fn create() -> Shelf {
        let dir = netns::folder();
        let (image, folder) = (dir.path().join("shelf.img"), dir.path().join("shelf"));
        sparse(&image, SHELF_BYTES);
        run("mkfs.xfs", &["-q", "-f", "-m", "reflink=1", &text(&image)]);
        Shelf { mount: Mount::new(&image, folder), dir }
    }

    /// A new disk, mounted in a folder of its own.
    pub fn disk(&self, name: &str) -> Disk {
        let image = self.mount.folder.join(name);
        sparse(&image, DISK_BYTES);
        run("mkfs.ext4", &["-q", "-F", &text(&image)]);
        let folder = self.dir.path().join(name);
        let mount = Some(Mount::new(&image, folder.clone()));
        Disk { image, folder, mount }
    }
}

/// A disk in use.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    folder: PathBuf,
    mount: Option<Mount>,
}

impl Disk {
    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the disk holds at this instant, in the file `copy` on the same shelf.
    pub fn clone_now(&self) -> Cut {
        let copy = self.image.with_extension("cut");
        run("cp", &["--reflink=always", &text(&self.image), &text(&copy)]);
        Cut { image: copy }
    }

    /// Takes the place of this disk's content: nothing that was not in the copy is there any
    /// more. Whoever used the disk must be gone.
    pub fn becomes(&mut self, cut: Cut) {
        self.mount = None;
        fs::rename(&cut.image, &self.image).expect("the shelf is writable");
        self.mount = Some(Mount::new(&self.image, self.folder.clone()));
        std::mem::forget(cut);
    }
}

/// What a disk held when its power was cut.
#[derive(Debug)]
pub struct Cut {
    image: PathBuf,
}

impl Cut {
    /// Mounts it at `folder`, for as long as the result lives.
    pub fn mounted(&self, folder: &Path) -> Mount {
        Mount::new(&self.image, folder.to_owned())
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.image);
    }
}

/// A mounted file system. Dropping it unmounts.
#[derive(Debug)]
pub struct Mount {
    folder: PathBuf,
}

impl Mount {
    fn new(image: &Path, folder: PathBuf) -> Mount {
        fs::create_dir_all(&folder).expect("the lab's folder is writable");
        run("mount", &["-o", "loop", &text(image), &text(&folder)]);
        Mount { folder }
    }

    /// A small file system in memory that can be filled.
    pub fn in_memory(folder: &Path, kib: u64) -> Mount {
        fs::create_dir_all(folder).expect("the lab's folder is writable");
        let size = format!("size={kib}k,mode=700");
        run("mount", &["-t", "tmpfs", "-o", &size, "lab", &text(folder)]);
        Mount { folder: folder.to_owned() }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let folder = text(&self.folder);
        // In order if possible; a process that still looks inside must not keep it for ever.
        let done = Command::new("umount").arg(&folder).output();
        if !done.is_ok_and(|out| out.status.success()) {
            let _ = Command::new("umount").args(["-l", &folder]).output();
        }
    }
}

fn sparse(path: &Path, bytes: u64) {
    let file = fs::File::create(path).and_then(|file| file.set_len(bytes));
    file.expect("the lab's folder is writable");
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[track_caller]
fn run(program: &str, args: &[&str]) {
    let out = Command::new(program).args(args).output();
    let out = out.unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
    let why = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {}: {}", args.join(" "), why.trim());
}
