//! A node as small as can be: answers over TCP and UDP, and counts.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

/// Serves until killed. TCP: the bytes themselves come back, unless the first is `S`: then nothing does.
/// UDP: the number of packets seen comes back.
pub fn serve(address: IpAddr, port: u16) {
    let socket = UdpSocket::bind((address, port)).expect("a UDP port");
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        let mut seen = 0_u64;
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            seen += u64::from(buffer[..length] != *b"?");
            let _ = socket.send_to(&seen.to_le_bytes(), from);
        }
    });
    let listener = TcpListener::bind((address, port)).expect("a TCP port");
    for stream in listener.incoming() {
        thread::spawn(move || stream.map(answer));
    }
}

fn answer(mut stream: TcpStream) {
    let mut buffer = vec![0; 256 << 10];
    let mut sink = None;
    let _ = stream.set_nodelay(true);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        let sink = *sink.get_or_insert(buffer[0] == b'S');
        if !sink && stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
    // A sink tells that it has all by ending.
}
