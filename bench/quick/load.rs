//! The load client of `make bench-quick`: really reads every byte, and costs little itself.
//!
//! `load get HOST:PORT TARGET CONNECTIONS TIMES` prints seconds and GB/s of TIMES downloads on each
//! connection (HTTP/1.1 keep-alive, one thread and 1 MiB reads a connection).
//! `load head HOST:PORT TARGET CONNECTIONS SECONDS` prints requests a second and the median and
//! 99th percentile in microseconds (one thread, each connection waits for its answer).

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, reason = "a tool that measures time")]

use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["get", address, target, connections, times] => get(address, target, number(connections), number(times)),
        ["head", address, target, connections, seconds] => head(address, target, number(connections), number(seconds)),
        _ => Err(Error::other("usage: load get|head HOST:PORT TARGET CONNECTIONS TIMES|SECONDS")),
    };
    if let Err(error) = outcome {
        eprintln!("load: {error}");
        std::process::exit(1);
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or(1)
}

fn get(address: &str, target: &str, connections: usize, times: usize) -> Result<()> {
    let start = Instant::now();
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let (address, target) = (address.to_owned(), target.to_owned());
            std::thread::spawn(move || -> Result<u64> {
                let mut stream = TcpStream::connect(address)?;
                let mut buffer = vec![0; 1 << 20];
                let mut total = 0;
                // In one piece: the second one would wait for the acknowledgement of the first.
                let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n\r\n");
                for _ in 0..times {
                    stream.write_all(request.as_bytes())?;
                    total += body(&mut stream, &mut buffer)?;
                }
                Ok(total)
            })
        })
        .collect();
    let mut total = 0;
    for thread in threads {
        total += thread.join().map_err(|_| Error::other("a connection panicked"))??;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{seconds:.4} {:.3}", total as f64 / seconds / 1e9);
    Ok(())
}

/// Reads one answer; the length of its body.
fn body(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<u64> {
    let mut have = 0;
    let head = loop {
        let n = stream.read(&mut buffer[have..])?;
        if n == 0 {
            return Err(Error::other("closed before the head"));
        }
        have += n;
        if let Some(end) = buffer[..have].windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    if !text.starts_with("http/1.1 200") {
        return Err(Error::other(format!("not 200: {}", text.lines().next().unwrap_or_default())));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<u64>().ok());
    let length = length.ok_or_else(|| Error::other("no Content-Length"))?;
    let mut left = length - (have - head) as u64;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match stream.read(&mut buffer[..most])? {
            0 => return Err(Error::other(format!("closed {left} bytes before the end"))),
            n => left -= n as u64,
        }
    }
    Ok(length)
}

fn head(address: &str, target: &str, connections: usize, seconds: usize) -> Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let start = Instant::now();
        let end = start + Duration::from_secs(seconds as u64);
        let request = format!("HEAD {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let tasks: Vec<_> = (0..connections)
            .map(|_| {
                let (address, request) = (address.to_owned(), request.clone());
                tokio::spawn(async move {
                    let mut stream = tokio::net::TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    let mut buffer = [0; 4096];
                    let mut micros = Vec::new();
                    while Instant::now() < end {
                        let sent = Instant::now();
                        stream.write_all(request.as_bytes()).await?;
                        let n = stream.read(&mut buffer).await?;
                        if !buffer[..n].starts_with(b"HTTP/1.1 200") || !buffer[..n].ends_with(b"\r\n\r\n") {
                            return Err(Error::other("not a whole 200 head"));
                        }
                        micros.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                    Ok::<_, Error>(micros)
                })
            })
            .collect();
        let mut micros = Vec::new();
        for task in tasks {
            micros.extend(task.await.map_err(Error::other)??);
        }
        let rate = micros.len() as f64 / start.elapsed().as_secs_f64();
        micros.sort_unstable();
        let at = |part: usize| micros.get(micros.len() * part / 100).copied().unwrap_or(0);
        println!("{rate:.0} {} {}", at(50), at(99));
        Ok(())
    })
}
