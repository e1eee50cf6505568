//! Networks, security groups and instances of the seeded account.

use serde_json::Value;

use super::Cloud;
use super::account::Ids;
use super::moto::{REGION, Service};
use super::principals::{entries, text};

/// Ingress rules: protocol, first port, last port, source, description.
type Rules<'a> = &'a [(&'a str, &'a str, &'a str, &'a str, &'a str)];

const WEB: Rules = &[
    ("tcp", "443", "443", "0.0.0.0/0", "site"),
    ("tcp", "443", "443", "::/0", "site over IPv6"),
    ("tcp", "22", "22", "10.0.0.0/8", "office"),
];
const ADMIN: Rules = &[("tcp", "22", "22", "10.0.0.0/8", "office")];
const SSH_WORLD: Rules = &[
    ("tcp", "22", "22", "0.0.0.0/0", "temporary, remove after the move"),
    ("tcp", "22", "22", "::/0", "temporary over IPv6"),
    ("tcp", "22", "22", "10.0.0.0/8", "office"),
    ("tcp", "443", "443", "0.0.0.0/0", "console"),
];
const BATCH: Rules = &[("tcp", "20", "30", "0.0.0.0/0", "old tools")];
const MEMBER: Rules = &[("tcp", "22", "22", "0.0.0.0/0", "left open")];

/// The address that the first interface of web has besides 10.0.1.10.
const IPV6: &str = "2001:db8:0:1::10";

/// One interface of an instance to be.
struct Interface<'a> {
    subnet: &'a str,
    groups: &'a [&'a str],
    ip: &'a str,
}

/// Creates them in both accounts.
pub async fn seed(cloud: &Cloud, ids: &mut Ids) {
    let ec2 = cloud.moto().service("ec2", &cloud.account_id);
    seed_networks(&ec2, ids).await;
    seed_web(&ec2, ids).await;
    seed_bastion(&ec2, ids).await;
    seed_batch(&ec2, ids).await;
    seed_member(&cloud.moto().service("ec2", &cloud.member_id), ids).await;
}

async fn seed_networks(ec2: &Service, ids: &mut Ids) {
    let (a, b) = (vpc(ec2, "10.0.0.0/16").await, vpc(ec2, "10.1.0.0/16").await);
    ids.note("subnet-0a1b2c3d4e5f60020", &subnet(ec2, &a, "10.0.1.0/24").await);
    ids.note("subnet-0a1b2c3d4e5f60021", &subnet(ec2, &a, "10.0.2.0/24").await);
    ids.note("subnet-0a1b2c3d4e5f60022", &subnet(ec2, &b, "10.1.1.0/24").await);
    ids.note("vpc-0a1b2c3d4e5f60010", &a);
    ids.note("vpc-0a1b2c3d4e5f60011", &b);
}

async fn seed_web(ec2: &Service, ids: &mut Ids) {
    let (a, b) = (ids.real("vpc-0a1b2c3d4e5f60010"), ids.real("vpc-0a1b2c3d4e5f60011"));
    let admin = group(ec2, a, "admin", ADMIN).await;
    let web = group(ec2, a, "web", WEB).await;
    allow(ec2, &web, ("-1", "-1", "-1", &admin, "administration")).await;
    let elsewhere = group(ec2, b, "web-elsewhere", &[]).await;
    let [first, second, third] = ["20", "21", "22"].map(|end| ids.real(&format!("subnet-0a1b2c3d4e5f600{end}")));
    // AWS lets an interface of another VPC be attached within the same availability zone.
    let interfaces = [
        Interface { subnet: first, groups: &[&web], ip: "10.0.1.10" },
        Interface { subnet: second, groups: &[&web, &admin], ip: "10.0.2.10" },
        Interface { subnet: third, groups: &[&elsewhere], ip: "10.1.1.10" },
    ];
    let host = run(ec2, "web", &interfaces, Some("web-server")).await;
    note_host(
        ids,
        "i-0a1b2c3d4e5f60718",
        &["eni-0a1b2c3d4e5f60001", "eni-0a1b2c3d4e5f60002", "eni-0a1b2c3d4e5f60003"],
        &host,
    );
    // moto ignores IPv6 addresses in RunInstances.
    let address = [("NetworkInterfaceId", ids.real("eni-0a1b2c3d4e5f60001")), ("Ipv6Addresses.1", IPV6)];
    ec2.call("AssignIpv6Addresses", &address).await;
    ids.note("sg-0a1b2c3d4e5f60030", &web);
    ids.note("sg-0a1b2c3d4e5f60031", &admin);
}

async fn seed_bastion(ec2: &Service, ids: &mut Ids) {
    let open = group(ec2, ids.real("vpc-0a1b2c3d4e5f60010"), "ssh-world", SSH_WORLD).await;
    let subnet = ids.real("subnet-0a1b2c3d4e5f60020");
    let only = Interface { subnet, groups: &[&open], ip: "10.0.1.20" };
    let host = run(ec2, "bastion", &[only], None).await;
    note_host(ids, "i-0b1b2c3d4e5f60718", &["eni-0b1b2c3d4e5f60001"], &host);
    ids.note("sg-0b1b2c3d4e5f60030", &open);
}

async fn seed_batch(ec2: &Service, ids: &mut Ids) {
    let shared = group(ec2, ids.real("vpc-0a1b2c3d4e5f60010"), "batch", BATCH).await;
    let subnet = ids.real("subnet-0a1b2c3d4e5f60020");
    let groups = [shared.as_str()];
    let interface = |ip| Interface { subnet, groups: &groups, ip };
    let host = run(ec2, "batch", &[interface("10.0.1.30")], None).await;
    run(ec2, "batch-spare", &[interface("10.0.1.31")], None).await;
    note_host(ids, "i-0c1b2c3d4e5f60718", &["eni-0c1b2c3d4e5f60001"], &host);
    ids.note("sg-0c1b2c3d4e5f60030", &shared);
}

async fn seed_member(ec2: &Service, ids: &mut Ids) {
    let network = vpc(ec2, "10.9.0.0/16").await;
    let subnet = subnet(ec2, &network, "10.9.1.0/24").await;
    let open = group(ec2, &network, "member", MEMBER).await;
    let only = Interface { subnet: &subnet, groups: &[&open], ip: "10.9.1.10" };
    let host = run(ec2, "member", &[only], None).await;
    note_host(ids, "i-0d1b2c3d4e5f60718", &["eni-0d1b2c3d4e5f60001"], &host);
    ids.note("vpc-0d1b2c3d4e5f60010", &network);
    ids.note("subnet-0d1b2c3d4e5f60020", &subnet);
    ids.note("sg-0d1b2c3d4e5f60030", &open);
}

async fn vpc(ec2: &Service, range: &str) -> String {
    text(&ec2.call("CreateVpc", &[("CidrBlock", range)]).await["vpc"], "vpcId")
}

async fn subnet(ec2: &Service, vpc: &str, range: &str) -> String {
    let zone = format!("{REGION}a");
    let parameters = [("VpcId", vpc), ("CidrBlock", range), ("AvailabilityZone", zone.as_str())];
    text(&ec2.call("CreateSubnet", &parameters).await["subnet"], "subnetId")
}

async fn group(ec2: &Service, vpc: &str, name: &str, rules: Rules<'_>) -> String {
    let parameters = [("VpcId", vpc), ("GroupName", name), ("GroupDescription", name)];
    let group = text(&ec2.call("CreateSecurityGroup", &parameters).await, "groupId");
    for rule in rules {
        allow(ec2, &group, *rule).await;
    }
    group
}

async fn allow(ec2: &Service, group: &str, rule: (&str, &str, &str, &str, &str)) {
    let (protocol, from, to, source, description) = rule;
    let (list, field) = match source {
        group if group.starts_with("sg-") => ("Groups", "GroupId"),
        range if range.contains(':') => ("Ipv6Ranges", "CidrIpv6"),
        _ => ("IpRanges", "CidrIp"),
    };
    let mut parameters = vec![
        ("GroupId".to_owned(), group),
        ("IpPermissions.1.IpProtocol".to_owned(), protocol),
        (format!("IpPermissions.1.{list}.1.{field}"), source),
        (format!("IpPermissions.1.{list}.1.Description"), description),
        ("TagSpecification.1.ResourceType".to_owned(), "security-group-rule"),
        ("TagSpecification.1.Tag.1.Key".to_owned(), "asked-for-by"),
        ("TagSpecification.1.Tag.1.Value".to_owned(), "network team"),
    ];
    if protocol != "-1" {
        parameters.push(("IpPermissions.1.FromPort".to_owned(), from));
        parameters.push(("IpPermissions.1.ToPort".to_owned(), to));
    }
    ec2.call("AuthorizeSecurityGroupIngress", &borrowed(&parameters)).await;
}

/// Starts an instance and gives its description.
async fn run(ec2: &Service, name: &str, interfaces: &[Interface<'_>], profile: Option<&str>) -> Value {
    let mut parameters = vec![
        ("ImageId".to_owned(), "ami-0a1b2c3d4e5f60099"),
        ("InstanceType".to_owned(), "t3.medium"),
        ("MinCount".to_owned(), "1"),
        ("MaxCount".to_owned(), "1"),
        ("TagSpecification.1.ResourceType".to_owned(), "instance"),
        ("TagSpecification.1.Tag.1.Key".to_owned(), "Name"),
        ("TagSpecification.1.Tag.1.Value".to_owned(), name),
    ];
    parameters.extend(profile.map(|profile| ("IamInstanceProfile.Name".to_owned(), profile)));
    for (place, interface) in interfaces.iter().enumerate() {
        parameters.extend(described(interface, place));
    }
    let reservation = ec2.call("RunInstances", &borrowed(&parameters)).await;
    entries(&reservation, "instancesSet")[0].clone()
}

fn described<'a>(interface: &Interface<'a>, place: usize) -> Vec<(String, &'a str)> {
    let field = |name: &str| format!("NetworkInterface.{}.{name}", place + 1);
    let mut parameters = vec![
        (field("DeviceIndex"), ["0", "1", "2"][place]),
        (field("SubnetId"), interface.subnet),
        (field("PrivateIpAddress"), interface.ip),
    ];
    let groups = interface.groups.iter().enumerate();
    parameters.extend(groups.map(|(place, group)| (field(&format!("SecurityGroupId.{}", place + 1)), *group)));
    parameters
}

fn note_host(ids: &mut Ids, host: &'static str, interfaces: &[&'static str], described: &Value) {
    ids.note(host, &text(described, "instanceId"));
    let mut attached = entries(described, "networkInterfaceSet").to_vec();
    attached.sort_by_key(|interface| text(&interface["attachment"], "deviceIndex"));
    assert_eq!(attached.len(), interfaces.len(), "moto attached other interfaces than it was asked for: {described}");
    for (fixed, interface) in interfaces.iter().zip(attached) {
        ids.note(fixed, &text(&interface, "networkInterfaceId"));
    }
}

fn borrowed<'a>(parameters: &'a [(String, &'a str)]) -> Vec<(&'a str, &'a str)> {
    parameters.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}
