//! The listener's certificate and key: read from PEM files, and read again while it serves.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::template::diagnostic::{Problem, access};

/// TLS for one listener (HTTP/1.1 only). Clones share the certificate, so a reload reaches all of them.
#[derive(Clone)]
pub struct TlsSettings {
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl TlsSettings {
    /// Reads the certificate chain (leaf first) and its private key.
    ///
    /// # Errors
    /// A file that cannot be read, holds no certificate or key, or a key that is not the certificate's.
    pub fn load(certificate: &Path, key: &Path) -> Result<TlsSettings, Problem> {
        let current = Arc::new(RwLock::new(Arc::new(read(certificate, key)?)));
        Ok(TlsSettings { current })
    }

    /// Connections accepted from now on get the certificate that was read anew.
    pub fn replace_by(&self, anew: &TlsSettings) {
        let anew = Arc::clone(&anew.current.read());
        *self.current.write() = anew;
    }

    /// An acceptor with the certificate of this moment.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read()))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<ServerConfig, Problem> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|error| placed(certificate, format!("the certificate cannot be read: {error}")))?;
    if chain.is_empty() {
        return Err(placed(certificate, "there is no certificate in the file".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_slice(&bytes(key)?)
        .map_err(|error| placed(key, format!("the private key cannot be read: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| placed(certificate, format!("TLS cannot be set up: {error}")))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| placed(certificate, format!("certificate and key are refused: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn bytes(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path).map_err(|error| {
        let problem = access::problem(path, "the file cannot be read", &error, FILES);
        problem.in_file(&path.display().to_string())
    })
}

const FILES: &str = "give the paths of a PEM certificate chain and its PEM private key in `[server.tls]`";

fn placed(path: &Path, what: String) -> Problem {
    Problem::new(what, FILES).in_file(&path.display().to_string())
}
