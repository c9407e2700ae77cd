//! Link-local addresses, which mean something only together with an interface.

use chaski_core::{Conn, Connect, HostPort, Service, Shutdown, service_fn};
use chaski_net::{Dialer, TcpListener};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    cable::{Cable, INTERFACE, role},
    support::{needs, skip},
};

const NAME: &str = "zone::net_05_a_link_local_address_is_dialed_by_its_zone";

/// NET-05: on a real interface, by its name; the address without its zone reaches nobody.
#[tokio::test]
async fn net_05_a_link_local_address_is_dialed_by_its_zone() {
    match role().as_deref() {
        Some("server") => return server().await,
        Some(port) => return client(port).await,
        None => {}
    }
    needs!(NAME, "ip");
    let Some(cable) = Cable::lay(NAME) else { return };
    if cable.add_link_local("fe80::a", "fe80::b").is_err() {
        return skip(NAME, "IPv6");
    }
    let mut server = cable.run_far("server");
    let port = server.line_with("listening on port ").await;
    let mut client = cable.run_near(&port);
    assert_eq!(client.line_with("with zone: ").await, "from fe80::a");
    assert_eq!(client.line_with("without: ").await, "no connection");
    client.succeeds().await;
}

/// Tells each client its address.
async fn server() {
    let listener = TcpListener::bind("[::]:0").await.unwrap();
    println!("\nlistening on port {}", listener.local_addr().unwrap().port());
    let whoami = service_fn(async |mut conn: Conn<TcpStream>| {
        let peer = conn.io.peer_addr()?.ip();
        conn.io.write_all(format!("from {peer}").as_bytes()).await
    });
    listener.serve(whoami, &Shutdown::new()).await;
}

async fn client(port: &str) {
    let dial = async |host: String| {
        let target: HostPort = format!("[{host}]:{port}").parse().unwrap();
        Dialer::new().serve(Connect::new(target)).await
    };
    let mut conn = dial(format!("fe80::b%{INTERFACE}")).await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut conn.io, &mut text).await.unwrap();
    let without = dial("fe80::b".to_owned()).await.map_or("no connection", |_| "a connection");
    println!("\nwith zone: {text}\nwithout: {without}");
}
