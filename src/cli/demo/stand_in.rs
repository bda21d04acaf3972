//! A stand-in for an ad platform: keeps the payloads it is sent and answers as the story says.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

/// A platform on loopback.
pub struct StandIn {
    pub address: SocketAddr,
    payloads: Mutex<mpsc::Receiver<String>>,
}

/// Payloads kept until someone looks; more are answered and forgotten.
const KEPT: usize = 16;

impl StandIn {
    /// Listens on a free loopback port and answers every request 200 with `reply`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(reply: String) -> std::io::Result<StandIn> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (keep, payloads) = mpsc::channel(KEPT);
        let reply = Bytes::from(reply);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keep, reply) = (keep.clone(), reply.clone());
                let service = service_fn(move |request| answer(request, keep.clone(), reply.clone()));
                tokio::spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new();
                    // A relay that hangs up ends the connection; there is no one left to inform.
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(StandIn { address, payloads: Mutex::new(payloads) })
    }

    /// The next payload that arrives.
    pub async fn payload(&self) -> String {
        self.payloads.lock().await.recv().await.unwrap_or_default()
    }
}

async fn answer(
    request: Request<Incoming>,
    keep: mpsc::Sender<String>,
    reply: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    // Full: no one is looking any more, and the demo goes on.
    let _ = keep.try_send(String::from_utf8_lossy(&body).into_owned());
    Ok(Response::new(Full::new(reply)))
}
