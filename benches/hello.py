#!/usr/bin/env python3
"""What a first program costs to build: the crates and the CPU seconds of a clean build of an HTTP hello.

    python3 benches/hello.py [--release] [RUNS]

Makes two programs in a temporary folder, one on `chaski` as it stands in this checkout with its default features, one on
axum from crates.io as its own guide writes it, and builds each from nothing, in turn. Needs the network once. CPU seconds
are user and system time of the build and all its children; the least of RUNS (3 unless told) counts, since other work on the
machine only adds.
"""

import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

MANIFEST = """
[package]
name = "hello"
version = "0.0.0"
edition = "2024"

[dependencies]
{dependencies}

[workspace]
"""

PROGRAMS = {
    "chaski": (
        f'chaski = {{ path = "{ROOT}/crates/chaski" }}\n'
        'tokio = { version = "1", features = ["rt-multi-thread", "macros"] }',
        """
use std::convert::Infallible;

use chaski::{BoxError, Shutdown, http::{Body, Request, Response}, http1::Http1Server, net::TcpListener, service_fn};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let hello = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::full("Hello, World!"))));
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    listener.serve(Http1Server::new(hello), &Shutdown::new()).await;
    Ok(())
}
""",
    ),
    "axum": (
        'axum = "0.8"\ntokio = { version = "1", features = ["rt-multi-thread", "macros", "net"] }',
        """
use axum::{Router, routing::get};

#[tokio::main]
async fn main() {
    let app = Router::new().route("/", get(async || "Hello, World!"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await.unwrap();
    axum::serve(listener, app).await.unwrap();
}
""",
    ),
}


def crates(folder):
    """The packages that are compiled, the program itself included."""
    tree = subprocess.run(
        ["cargo", "tree", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"],
        cwd=folder, check=True, capture_output=True, text=True,
    )
    return len({" ".join(line.split()[:2]) for line in tree.stdout.splitlines()})


def build(folder, flags):
    """CPU seconds of one build from nothing."""
    target = folder / "target"
    shutil.rmtree(target, ignore_errors=True)
    env = dict(os.environ, CARGO_TARGET_DIR=str(target), CARGO_INCREMENTAL="0")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["cargo", "build", "--quiet", *flags], cwd=folder, check=True, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(target)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def main():
    flags = [flag for flag in sys.argv[1:] if flag == "--release"]
    runs = next((int(word) for word in sys.argv[1:] if word.isdigit()), 3)
    with tempfile.TemporaryDirectory() as place:
        folders = {}
        for name, (dependencies, program) in PROGRAMS.items():
            folder = folders[name] = pathlib.Path(place) / name
            (folder / "src").mkdir(parents=True)
            (folder / "Cargo.toml").write_text(MANIFEST.format(dependencies=dependencies))
            (folder / "src/main.rs").write_text(program)
            subprocess.run(["cargo", "fetch", "--quiet"], cwd=folder, check=True)
        seconds = {name: [] for name in folders}
        for _ in range(runs):
            for name, folder in folders.items():
                seconds[name].append(build(folder, flags))
        for name, folder in folders.items():
            print(f"{name:7} {crates(folder):3} crates  {min(seconds[name]):6.1f} CPU seconds")
        print(f"ratio   {min(seconds['chaski']) / min(seconds['axum']):.2f}")


if __name__ == "__main__":
    main()
