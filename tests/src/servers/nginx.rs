//! A real nginx before a node: a proxy that knows nothing of streams and has its defaults, buffers and timeouts too.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use super::{Port, scratch, tool};
use crate::child::{Child, bound_to_thread};

/// A proxy of this test's own. Fields go in order: the server before its directory.
pub struct Nginx {
    _server: Child,
    port: Port,
    _home: TempDir,
}

impl Nginx {
    pub async fn before(node: SocketAddr) -> Self {
        let (port, home) = (Port::reserve(), scratch("nginx"));
        let file = home.path().join("nginx.conf");
        fs::write(&file, config(&port, node, home.path())).expect("a directory of one's own");
        let mut command = bound_to_thread("KILL");
        command.arg("--").arg(tool("nginx")).arg("-p").arg(home.path()).arg("-c").arg(&file).args(["-e", "stderr"]);
        let mut server = Child::spawn("nginx", command);
        server.until(READY).await;
        Self { _server: server, port, _home: home }
    }

    /// `http://` and the address, with no slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }
}

/// It says so when it listens already.
const READY: &str = "event method";

/// Nothing about buffers and timeouts: that is what is tried. One process alone, so that none outlives a test that is
/// killed, and no path but in its own directory.
fn config(port: &Port, node: SocketAddr, home: &Path) -> String {
    let (port, home) = (port.address(), home.display());
    format!(
        "daemon off;
        master_process off;
        pid {home}/pid;
        error_log stderr notice;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {home}/body;
            proxy_temp_path {home}/proxy;
            fastcgi_temp_path {home}/fastcgi;
            uwsgi_temp_path {home}/uwsgi;
            scgi_temp_path {home}/scgi;
            server {{
                listen {port};
                location / {{ proxy_pass http://{node}; }}
            }}
        }}"
    )
}
