//! Who was on the other side, and at which doors of ours.

use super::error::cut;
use super::scalar::{Text, Whole};
use super::tolerant::{Loose, Many};
use super::{LocalPort, Remote};
use serde::Deserialize;
use std::collections::HashSet;
use std::net::IpAddr;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the finding")]
pub(super) struct Action {
    pub aws_api_call_action: Loose<ApiCall>,
    dns_request_action: Loose<DnsRequest>,
    kubernetes_api_call_action: Loose<KubernetesCall>,
    network_connection_action: Loose<Connection>,
    port_probe_action: Loose<PortProbe>,
    rds_login_attempt_action: Loose<Login>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ApiCall {
    api: Text,
    remote_ip_details: Loose<Peer>,
    service_name: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct DnsRequest {
    domain: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct KubernetesCall {
    remote_ip_details: Loose<Peer>,
    #[serde(rename = "sourceIPs")]
    source_ips: Many<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Login {
    remote_ip_details: Loose<Peer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PortProbe {
    port_probe_details: Many<Connection>,
}

/// One connection, or one probe of a port.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are those of the finding")]
struct Connection {
    connection_direction: Text,
    local_ip_details: Loose<Addresses>,
    local_port_details: Loose<Port>,
    remote_ip_details: Loose<Peer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    port: Whole,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Addresses {
    ip_address_v4: Text,
    ip_address_v6: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Peer {
    city: Loose<City>,
    country: Loose<Country>,
    ip_address_v4: Text,
    ip_address_v6: Text,
    organization: Loose<Organization>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct City {
    city_name: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Country {
    country_name: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Organization {
    asn: Text,
    asn_org: Text,
    isp: Text,
    org: Text,
}

impl Action {
    /// Everyone on the other side, in the order the finding names them.
    pub(super) fn remotes(&self) -> Vec<Remote> {
        let connection = [&self.network_connection_action.0];
        let connections = connection.into_iter().chain(&self.port_probe_action.0.port_probe_details.0);
        let kubernetes = &self.kubernetes_api_call_action.0;
        let calls = [&self.aws_api_call_action.0.remote_ip_details, &kubernetes.remote_ip_details];
        let peers = connections
            .map(|connection| &connection.remote_ip_details)
            .chain(calls)
            .chain([&self.rds_login_attempt_action.0.remote_ip_details]);
        // The addresses of a Kubernetes call come last: where the same one has details, those were met before.
        let bare = kubernetes.source_ips.0.iter().filter_map(address).map(bare);
        peers.flat_map(|peer| peer.0.remotes()).chain(bare).collect()
    }

    /// The local ports that someone reached or probed.
    ///
    /// The local port of a connection that goes out is a passing one; nothing listens there.
    pub(super) fn ports(&self) -> Vec<LocalPort> {
        let outbound = |it: &&Connection| it.connection_direction.0.as_deref() == Some("OUTBOUND");
        let connection = Some(&self.network_connection_action.0).filter(|it| !outbound(it));
        let all = connection.into_iter().chain(&self.port_probe_action.0.port_probe_details.0);
        let mut seen = HashSet::new();
        all.filter_map(Connection::port).filter(|it| seen.insert((it.port, it.address))).collect()
    }

    /// What was done, as one line: the API call, or else the domain that was asked for.
    pub(super) fn line(&self) -> Option<String> {
        let domain = || Some(one_line(&format!("DNS request for {}", self.dns_request_action.0.domain.0.as_ref()?)));
        self.aws_api_call_action.0.line().or_else(domain)
    }
}

impl ApiCall {
    pub(super) fn remotes(&self) -> Vec<Remote> {
        self.remote_ip_details.0.remotes().collect()
    }

    /// `iam:CreateUser`; the service is written as its host, `iam.amazonaws.com`.
    pub(super) fn line(&self) -> Option<String> {
        let api = self.api.0.as_ref()?;
        let service = self.service_name.0.as_ref().and_then(|host| host.split('.').next());
        Some(one_line(&service.map_or_else(|| api.clone(), |service| format!("{service}:{api}"))))
    }
}

impl Connection {
    fn port(&self) -> Option<LocalPort> {
        let port = u16::try_from(self.local_port_details.0.port.0?).ok().filter(|port| *port != 0)?;
        let Addresses { ip_address_v4, ip_address_v6 } = &self.local_ip_details.0;
        Some(LocalPort { port, address: address(ip_address_v4).or_else(|| address(ip_address_v6)) })
    }
}

impl Peer {
    fn remotes(&self) -> impl Iterator<Item = Remote> {
        let Self { city, country, ip_address_v4, ip_address_v6, organization } = self;
        [ip_address_v4, ip_address_v6].into_iter().filter_map(address).map(|address| Remote {
            address,
            country: country.0.country_name.0.clone(),
            city: city.0.city_name.0.clone(),
            network: organization.0.network(),
        })
    }
}

impl Organization {
    fn network(&self) -> Option<String> {
        let Self { asn, asn_org, isp, org } = self;
        let name = [asn_org, org, isp].into_iter().find_map(|name| name.0.as_deref());
        network(name, asn.0.as_deref().and_then(|asn| asn.parse().ok()))
    }
}

/// The network's name and number; samples have the number 0 or -1, which is none.
pub(super) fn network(name: Option<&str>, number: Option<u64>) -> Option<String> {
    match (name, number.filter(|number| *number != 0)) {
        (Some(name), Some(number)) => Some(format!("{name} (AS{number})")),
        (Some(name), None) => Some(name.to_owned()),
        (None, Some(number)) => Some(format!("AS{number}")),
        (None, None) => None,
    }
}

/// Reads an address; one of IPv4 that is written as IPv6 (`::ffff:192.0.2.1`) becomes IPv4, and `0.0.0.0` is nobody's.
pub(super) fn address(text: &Text) -> Option<IpAddr> {
    let address = text.0.as_ref()?.trim().parse::<IpAddr>().ok()?.to_canonical();
    Some(address).filter(|address| !address.is_unspecified())
}

fn bare(address: IpAddr) -> Remote {
    Remote { address, country: None, city: None, network: None }
}

/// Keeps the first of each address.
pub(super) fn without_repeats(remotes: impl Iterator<Item = Remote>) -> Vec<Remote> {
    let mut seen = HashSet::new();
    remotes.filter(|remote| seen.insert(remote.address)).collect()
}

fn one_line(text: &str) -> String {
    cut(&text.replace(char::is_control, " "), 200)
}
