//! Somebody with all rights who takes containment back, past the proxy: Quell learns of it by looking.

use crate::cloud::identities::OF_BEFORE;
use crate::rehearsal::Rehearsal;
use serde_json::Value;

const OPEN: &str = "AuthorizeSecurityGroupIngress";
const CLOSE: &str = "RevokeSecurityGroupIngress";

/// What was there before anything was contained.
pub struct Attacker {
    /// Each interface, and its groups.
    interfaces: Vec<(String, Vec<String>)>,
}

impl Attacker {
    pub async fn before(quell: &Rehearsal) -> Self {
        let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
        let found = ec2.call("DescribeNetworkInterfaces", &[]).await;
        let interfaces = listed(&found, "networkInterfaceSet").map(|interface| {
            let groups = listed(interface, "groupSet").map(|group| id(group, "groupId")).collect();
            (id(interface, "networkInterfaceId"), groups)
        });
        Self { interfaces: interfaces.collect() }
    }

    /// Takes deny policies off, puts what was there in their place, and makes the keys of ann and of the member account's deploy work.
    pub async fn open_identities(&self, quell: &Rehearsal) {
        let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
        let of_session = format!("QuellDeny-{}", quell.account.real("i-0a1b2c3d4e5f60718"));
        iam.attempt("DeleteRolePolicy", &[("RoleName", "web-server"), ("PolicyName", &of_session)]).await.ok();
        let member = quell.cloud.moto().service("iam", &quell.cloud.member_id);
        let before = [("UserName", "deploy"), ("PolicyName", "QuellQuarantine"), ("PolicyDocument", OF_BEFORE)];
        iam.attempt("DeleteUserPolicy", &[("UserName", "ann"), ("PolicyName", "QuellQuarantine")]).await.ok();
        member.call("PutUserPolicy", &before).await;
        for (iam, user, key) in [(iam, "ann", "AKIAIOSFODNN7EXAMPLE"), (member, "deploy", "AKIAQUELLMEMBEREXAMP")] {
            let key = quell.account.real(key);
            iam.call("UpdateAccessKey", &[("UserName", user), ("AccessKeyId", key), ("Status", "Active")]).await;
        }
    }

    /// Gives interfaces their groups, deletes quarantine groups, and lets the world in as it was.
    pub async fn open_network(&self, quell: &Rehearsal) {
        let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
        for (interface, groups) in &self.interfaces {
            let names: Vec<String> = (1..=groups.len()).map(|n| format!("SecurityGroupId.{n}")).collect();
            let mut moved = vec![("NetworkInterfaceId", interface.as_str())];
            moved.extend(names.iter().map(String::as_str).zip(groups.iter().map(String::as_str)));
            ec2.call("ModifyNetworkInterfaceAttribute", &moved).await;
        }
        for group in quarantine_groups(quell).await {
            ec2.call("DeleteSecurityGroup", &[("GroupId", &group)]).await;
        }
        let bastion = quell.account.real("sg-0b1b2c3d4e5f60030");
        let batch = quell.account.real("sg-0c1b2c3d4e5f60030");
        // What is already so is refused.
        for (action, group, ports, description) in [
            (OPEN, bastion, ["22", "22"], "temporary, remove after the move"),
            (CLOSE, batch, ["20", "21"], "old tools"),
            (CLOSE, batch, ["23", "30"], "old tools"),
            (OPEN, batch, ["20", "30"], "old tools"),
        ] {
            let (range, said) = ("IpPermissions.1.IpRanges.1.CidrIp", "IpPermissions.1.IpRanges.1.Description");
            ec2.attempt(action, &tcp(group, ports, [(range, "0.0.0.0/0"), (said, description)])).await.ok();
        }
        let (range, said) = ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "IpPermissions.1.Ipv6Ranges.1.Description");
        let world = [(range, "::/0"), (said, "temporary over IPv6")];
        ec2.attempt(OPEN, &tcp(bastion, ["22", "22"], world)).await.ok();
    }
}

/// A rule over tcp, as EC2 wants it.
pub fn tcp<'a>(group: &'a str, [from, to]: [&'a str; 2], source: [(&'a str, &'a str); 2]) -> Vec<(&'a str, &'a str)> {
    let ports = [("IpPermissions.1.FromPort", from), ("IpPermissions.1.ToPort", to)];
    let rule = [("GroupId", group), ("IpPermissions.1.IpProtocol", "tcp")];
    [rule, ports, source].concat()
}

/// The ids of the quarantine groups in the main account.
pub async fn quarantine_groups(quell: &Rehearsal) -> Vec<String> {
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let ours = [("Filter.1.Name", "group-name"), ("Filter.1.Value.1", "quell-quarantine")];
    let found = ec2.call("DescribeSecurityGroups", &ours).await;
    listed(&found, "securityGroupInfo").map(|group| id(group, "groupId")).collect()
}

fn listed<'a>(value: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    value.get(list).and_then(Value::as_array).into_iter().flatten()
}

fn id(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
