//! What the sweep contains, and what of it is interrupted.

use crate::attacker::{quarantine_groups, tcp};
use crate::cloud::Cloud;
use crate::guarding::balanced;
use crate::looking_after::{HOUR, rule};
use crate::one_group::OF_BATCH;
use crate::rehearsal::Rehearsal;
use crate::stage::CONTAIN;
use crate::story::{but, newer};
use serde_json::Value;
use std::fmt;

/// One thing that is contained again and again.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// What the case is called in the table.
    pub name: &'static str,
    event: &'static str,
    /// What the event says in place of what its file says.
    but: &'static [(&'static str, &'static str)],
    pub finding: &'static str,
    /// What another finding, or the next state of this one, says in place of that.
    more: &'static [(&'static str, &'static str)],
    pub is_member: bool,
    /// The service that the remediation changes: that part of its account is compared.
    pub service: &'static str,
    with: With,
}

/// What is there before.
#[derive(Debug, Clone, Copy)]
enum With {
    Nothing,
    /// A quarantine group of Quell's, into which somebody has put rules.
    Rules,
    /// Load balancers that send requests to the instances.
    Balancers,
}

pub const KEY: Scene = Scene {
    name: "compromised-access-key",
    event: "access_key_used_from_tor",
    but: &[],
    finding: "5e8e95fc4de1f034e96967422b76b5c7",
    more: &[],
    is_member: false,
    service: "iam",
    with: With::Nothing,
};

pub const MEMBERS_KEY: Scene = Scene {
    name: "compromised-access-key of a member account",
    event: "member_account_access_key",
    finding: "31994af305740b924ba7c8d80e0e8466",
    is_member: true,
    ..KEY
};

pub const SESSION: Scene = Scene {
    name: "stolen-role-session",
    event: "instance_credentials_used_outside_aws",
    finding: "c6c9af66c89db32765c152270257a69e",
    ..KEY
};

pub const INSTANCE: Scene = Scene {
    name: "compromised-instance",
    event: "instance_talks_to_c2",
    finding: "49f8ace915ec5c661c8d751b77f90ac6",
    service: "ec2",
    ..KEY
};

/// With one interface: the larger instance's many calls would take minutes more.
pub const SMALL_INSTANCE: Scene = Scene {
    name: "compromised-instance of one interface",
    event: "instance_mines_bitcoin",
    finding: "c218f816f3732196b9d69ecfe8a0f3e8",
    ..INSTANCE
};

pub const PORT: Scene =
    Scene { name: "exposed-port", event: "port_probe", finding: "f351532bafcc77f8c3301b51d22f8d61", ..INSTANCE };

pub const INTO_RULES: Scene =
    Scene { name: "compromised-instance into a quarantine group with rules", with: With::Rules, ..SMALL_INSTANCE };

pub const BALANCED_PORT: Scene = Scene { name: "exposed-port behind load balancers", with: With::Balancers, ..PORT };

/// Port 22 within a rule that opens tcp 20-30.
pub const PORT_OF_A_RANGE: Scene = Scene {
    name: "exposed-port within a range",
    but: &[OF_BATCH[0], OF_BATCH[1], OF_BATCH[2], OF_BATCH[3], (PORT.finding, "f351532bafcc77f8c3301b51d22f8d63")],
    finding: "f351532bafcc77f8c3301b51d22f8d63",
    more: &[("\"port\": 22", "\"port\": 25")],
    ..PORT
};

/// A key that somebody made inactive before, and a second key of the same user that works.
pub const INACTIVE_KEY: Scene = Scene {
    name: "compromised-access-key that is inactive",
    event: "access_key_already_inactive",
    finding: "2af3be191f5f55a5f825b4ba12d86034",
    ..KEY
};

/// A key, a session and an instance in one finding.
pub const SEQUENCE: Scene =
    Scene { name: "attack sequence", event: "attack_sequence", finding: "485d8cb88c072a52e390bd255303de1e", ..KEY };

/// What is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Contain,
    /// The attacker opened everything; the sweep looks.
    Again,
    Undo,
    /// A person approved it.
    Approve,
    /// Nobody approved it in time, and the rule says that it is contained then.
    Fallback,
    /// It was contained for an hour, which is over.
    End,
    /// The finding's next state names more.
    More,
    /// Another finding about the same had it contained before.
    Beside,
    /// Another finding keeps the same contained.
    UndoBeside,
    /// Undo of its first step.
    UndoStep,
}

impl Scene {
    pub fn event(&self) -> String {
        but(self.event, self.but)
    }

    /// Another finding about the same, or the next state of this one.
    pub fn other_event(&self) -> String {
        newer(&but(self.event, &[self.but, self.more].concat()))
    }

    /// Arranges what is there before.
    pub async fn prepare(&self, quell: &Rehearsal) {
        match self.with {
            With::Nothing => {}
            With::Balancers => balanced(quell).await,
            With::Rules => group_with_rules(quell).await,
        }
    }

    /// What it changes, and what is beside that.
    pub async fn part_of_world(&self, cloud: &Cloud) -> Value {
        cloud.part_of_world(self.account(cloud), self.service).await
    }

    /// The account of what is contained.
    pub fn account<'a>(&self, cloud: &'a Cloud) -> &'a str {
        if self.is_member { &cloud.member_id } else { &cloud.account_id }
    }
}

/// One that lets out all, as every new group does, and somebody in.
pub async fn group_with_rules(quell: &Rehearsal) {
    let ec2 = quell.cloud.moto().service("ec2", &quell.cloud.account_id);
    let vpc = quell.account.real("vpc-0a1b2c3d4e5f60010");
    let group = [
        ("VpcId", vpc),
        ("GroupName", "quell-quarantine"),
        ("GroupDescription", "Lets nothing in and nothing out"),
        ("TagSpecification.1.ResourceType", "security-group"),
        ("TagSpecification.1.Tag.1.Key", "quell:managed"),
        ("TagSpecification.1.Tag.1.Value", "quarantine"),
    ];
    ec2.call("CreateSecurityGroup", &group).await;
    let group = quarantine_groups(quell).await.remove(0);
    let office = [("IpPermissions.1.IpRanges.1.CidrIp", "198.51.100.0/24"), DESCRIBED];
    ec2.call("AuthorizeSecurityGroupIngress", &tcp(&group, ["22", "22"], office)).await;
}

const DESCRIBED: (&str, &str) = ("IpPermissions.1.IpRanges.1.Description", "to look at it");

impl Work {
    /// Everything is contained, however often.
    pub fn policy(self) -> String {
        let policy = match self {
            Self::Contain
            | Self::Again
            | Self::Undo
            | Self::More
            | Self::Beside
            | Self::UndoBeside
            | Self::UndoStep => CONTAIN.to_owned(),
            Self::Approve => rule("approve", ""),
            Self::Fallback => rule("approve", "approval = { within = '1h', fallback = 'contain' }"),
            Self::End => rule("contain", "expires = '1h'"),
        };
        format!("[limit]\nper_hour = 100000\n{policy}")
    }

    /// How many seconds after the finding it is done.
    pub fn later(self) -> i64 {
        match self {
            Self::Contain => 0,
            Self::Again => 6,
            Self::Undo | Self::Approve | Self::UndoBeside | Self::UndoStep => 10,
            // What another changed has settled.
            Self::More | Self::Beside => 20,
            Self::Fallback | Self::End => HOUR + 60,
        }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contain => "contain",
            Self::Again => "contain again",
            Self::Undo => "undo",
            Self::Approve => "approve",
            Self::Fallback => "contain unasked",
            Self::End => "end",
            Self::More => "contain more",
            Self::Beside => "contain beside another",
            Self::UndoBeside => "undo beside another",
            Self::UndoStep => "undo a step",
        })
    }
}
