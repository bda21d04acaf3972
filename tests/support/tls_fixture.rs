//! Certificates of a test's own, in files, and clients that trust only them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use postbridge::template::diagnostic::Problem;
use postbridge::web::tls::TlsSettings;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::http1_server::TestServer;

/// Makes a certificate for a host and writes it with its key. Answers what a client has to trust.
pub fn write_pair(host: &str, certificate: &Path, key: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    std::fs::write(certificate, made.cert.pem()).unwrap();
    std::fs::write(key, made.key_pair.serialize_pem()).unwrap();
    CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()
}

/// A folder for the certificate and key of `localhost`; it goes with the value.
pub struct CertificateFolder {
    pub certificate: PathBuf,
    pub key: PathBuf,
    _folder: tempfile::TempDir,
}

impl CertificateFolder {
    /// Without a certificate.
    pub fn empty() -> CertificateFolder {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        CertificateFolder { certificate, key, _folder: folder }
    }

    /// Writes another certificate, with its key. Answers what a client has to trust.
    pub fn renew(&self) -> CertificateDer<'static> {
        write_pair("localhost", &self.certificate, &self.key)
    }

    /// The listener's settings with what is there now.
    pub fn load(&self) -> Result<TlsSettings, Problem> {
        TlsSettings::load(&self.certificate, &self.key)
    }

    /// The same once more for settings that are in use.
    pub fn reload(&self, tls: &TlsSettings) -> Result<(), Problem> {
        tls.replace_by(&self.load()?);
        Ok(())
    }
}

/// A client that trusts one certificate only and offers HTTP/2 first.
pub async fn connect_tls(
    server: &TestServer,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    begin_tls(server.connect().await, trusted).await
}

/// The same on a connection that is there.
pub async fn begin_tls(
    connection: TcpStream,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, connection).await
}
