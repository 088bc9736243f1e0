//! Puts the built page (`web/dist`, made by `make web`) into the program. Without
//! it the list is empty, so that a clean clone compiles with cargo alone. And makes the
//! code of gRPC from docs/nemeses.proto.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use prost::Message as _;

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dist = here.join("../web/dist");
    // The folder is there without a page, too; a missing path would run this every time.
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", dist.display());

    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        collect(&dist, &mut files)?;
    }
    files.sort();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("page.rs"), table(&dist, &files, &out)?)?;
    messages(&here.join("../docs"), &out)
}

/// Messages, server and client of gRPC, and the compiled file for reflection.
fn messages(docs: &Path, out: &Path) -> io::Result<()> {
    const FILE: &str = "nemeses.proto";
    println!("cargo::rerun-if-changed={}", docs.join(FILE).display());
    let compiled = protox::compile([FILE], [docs]).map_err(io::Error::other)?;
    fs::write(out.join("nemeses.v1.descriptor"), compiled.encode_to_vec())?;
    // In order of key: a request that is sent again has the same bytes.
    tonic_prost_build::configure().build_transport(false).btree_map(".").compile_fds(compiled)
}

/// Every file below a folder, without those that are only a compressed form.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.file_name().is_some_and(|name| name != ".gitignore")
            && path.extension().is_none_or(|extension| extension != "gz")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// The source of a `&[File]`. The files are copied beside it, so that a page that is
/// built again while the compiler runs does not take them away.
fn table(dist: &Path, files: &[PathBuf], out: &Path) -> io::Result<String> {
    let mut source = String::from("&[\n");
    for (index, path) in files.iter().enumerate() {
        let name = path.strip_prefix(dist).unwrap_or(path).display().to_string();
        let plain = out.join(format!("page-{index}"));
        fs::copy(path, &plain)?;
        let compressed = PathBuf::from(format!("{}.gz", path.display()));
        let gzip = if compressed.is_file() {
            let copy = out.join(format!("page-{index}.gz"));
            fs::copy(compressed, &copy)?;
            format!("Some(include_bytes!({:?}))", copy.display().to_string())
        } else {
            String::from("None")
        };
        let plain = plain.display().to_string();
        // Writing to a String does not fail.
        let _ = writeln!(
            source,
            "    File {{ path: \"/{name}\", plain: include_bytes!({plain:?}), gzip: {gzip} }},"
        );
    }
    source.push_str("]\n");
    Ok(source)
}
