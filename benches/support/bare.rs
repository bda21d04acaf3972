//! The baselines: bare hyper servers that answer `ok` or redirect, and a sink that answers like the platform.

use std::convert::Infallible;
use std::io::Write;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};

/// Serves `ok` on a free loopback port until the process is ended; prints the port first.
pub fn serve_ok() {
    serve(2, |_| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok")))) });
}

/// Serves a 302 without a body: what a redirect costs that remembers nothing.
pub fn serve_redirect() {
    serve(2, |_| async {
        let answer =
            Response::builder().status(302).header("location", "https://advertiser.example/lp?cid=0");
        Ok::<_, Infallible>(answer.body(Full::new(Bytes::new())).unwrap())
    });
}

/// Serves `{"events_received":1}` after reading the body: what a platform says to one event.
pub fn serve_sink() {
    serve(1, |request: Request<Incoming>| async {
        let _ = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(
            br#"{"events_received":1,"messages":[],"fbtrace_id":"bench"}"#,
        ))))
    });
}

fn serve<F, R>(workers: usize, answer: F)
where
    F: Fn(Request<Incoming>) -> R + Copy + Send + 'static,
    R: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        std::io::stdout().flush().unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let io = hyper_util::rt::TokioIo::new(stream);
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service_fn(answer)).await;
            });
        }
    });
}
