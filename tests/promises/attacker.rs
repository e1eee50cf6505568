//! Somebody with all rights who takes containment back, past the proxy: Quell learns of it by looking.

use crate::rehearsal::Rehearsal;
use serde_json::Value;

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

    /// Takes deny policies off, and makes ann's first key work.
    pub async fn open_identities(&self, quell: &Rehearsal) {
        let iam = quell.cloud.moto().service("iam", &quell.cloud.account_id);
        let of_session = format!("QuellDeny-{}", quell.account.real("i-0a1b2c3d4e5f60718"));
        let of_user = [("UserName", "ann"), ("PolicyName", "QuellQuarantine")];
        iam.attempt("DeleteUserPolicy", &of_user).await.ok();
        iam.attempt("DeleteRolePolicy", &[("RoleName", "web-server"), ("PolicyName", &of_session)]).await.ok();
        let key = quell.account.real("AKIAIOSFODNN7EXAMPLE");
        iam.call("UpdateAccessKey", &[("UserName", "ann"), ("AccessKeyId", key), ("Status", "Active")]).await;
    }

    /// Gives interfaces their groups, deletes quarantine groups, and lets the world in to port 22.
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
        let group = ("GroupId", quell.account.real("sg-0b1b2c3d4e5f60030"));
        for (list, field, range, description) in [
            ("IpRanges", "CidrIp", "0.0.0.0/0", "temporary, remove after the move"),
            ("Ipv6Ranges", "CidrIpv6", "::/0", "temporary over IPv6"),
        ] {
            let (field, told) =
                (format!("IpPermissions.1.{list}.1.{field}"), format!("IpPermissions.1.{list}.1.Description"));
            let ssh = [
                group,
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", "22"),
                ("IpPermissions.1.ToPort", "22"),
                (field.as_str(), range),
                (told.as_str(), description),
            ];
            // It may be open still.
            ec2.attempt("AuthorizeSecurityGroupIngress", &ssh).await.ok();
        }
    }
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
