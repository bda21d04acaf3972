//! The README's nginx configuration, run: what arrives through it byte for byte, and what it refuses.

use std::process::{Child, Command};
use std::time::Duration;

use crate::platform::Platform;
use crate::relay::{KEY, Setup, ask, wait_until};

struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The one `nginx` block of the README.
fn readme_configuration() -> String {
    let readme = include_str!("../README.md");
    let block = readme.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("the README shows an nginx configuration").to_owned()
}

fn nginx_program() -> Option<&'static str> {
    ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| std::path::Path::new(path).exists())
}

#[test]
fn the_readmes_nginx_hands_postbacks_on_byte_for_byte() {
    let Some(program) = nginx_program() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "nginx must be installed in CI: apt-get install nginx-light"
        );
        eprintln!("skipped: nginx is not installed");
        return;
    };
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra.push_str("[[source]]\nid = \"shop\"\ntemplate = \"generic\"\nkey = \"shop-key-0123456789\"\ncurrency = \"USD\"\n");
    let relay = setup.start();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = readme_configuration()
        .replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
        .replace("127.0.0.1:8080", &relay.address.to_string());
    let here = folder.path().display();
    let text = format!(
        "daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/nginx.log; events {{ worker_connections 64; }}\nhttp {{ access_log off; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;\n{server}}}\n"
    );
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, text).unwrap();
    let _nginx =
        Nginx(Command::new(program).arg("-c").arg(&path).arg("-p").arg(folder.path()).spawn().unwrap());
    let proxy = ([127, 0, 0, 1], port).into();
    assert!(
        wait_until(Duration::from_secs(10), || std::net::TcpStream::connect(proxy).is_ok()),
        "nginx listens"
    );

    let send = |query: &[u8]| {
        let mut request = format!("GET /{KEY}/collect/cake-test?").into_bytes();
        request.extend_from_slice(query);
        request.extend_from_slice(b" HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        ask(proxy, &request).unwrap()
    };
    let query: &[u8] = b"s1=#s1#&s4=<u1>\"&s5=caf\xe9&s3={x}|%zz&s2=abc&oid=1&tid=N1&price=7";
    assert_eq!(send(query).json()["status"], "accepted");
    let line = relay.api("/api/v1/postbacks")["items"][0]["raw"]["line_base64"].as_str().unwrap().to_owned();
    use base64::Engine;
    let line = base64::engine::general_purpose::STANDARD.decode(line).unwrap();
    let arrived = line.windows(query.len()).any(|window| window == query);
    assert!(arrived, "through nginx it arrived as {}", String::from_utf8_lossy(&line));
    let order =
        format!("{{\"order_id\":\"N3\",\"value\":7,\"lines\":[{}1]}}", "{\"sku\":\"A-1\"},".repeat(15_000));
    let length = order.len();
    assert!(length > 200_000 && length < 256 * 1024, "as large as the source takes");
    let request = format!(
        "POST /shop-key-0123456789/collect/shop HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{order}"
    );
    assert_eq!(ask(proxy, request.as_bytes()).unwrap().json()["status"], "accepted");
    assert_eq!(send(b"s2=a b&tid=N2&price=7").status, 400, "nginx refuses a raw space by itself");
}
