//! Load balancers in front of seeded instances, for the tests that want some.

use super::Cloud;
use super::moto::Service;
use super::principals::text;

impl Cloud {
    /// A Network Load Balancer that sends what comes to a port to targets: instance ids, or addresses. Gives the target
    /// group's ARN.
    pub async fn balance(
        &self,
        name: &str,
        subnet: &str,
        vpc: &str,
        port: u16,
        kind: &str,
        targets: &[&str],
    ) -> String {
        let elb = self.moto().service("elbv2", &self.account_id);
        let asked = [("Name", name), ("Type", "network"), ("Subnets.member.1", subnet)];
        let made = elb.call("CreateLoadBalancer", &asked).await;
        let balancer = text(&made["LoadBalancers"][0], "LoadBalancerArn");
        self.target_group(&elb, &balancer, (name, vpc, port, kind), targets).await
    }

    /// One more target group of the load balancer that this one belongs to, without targets.
    pub async fn target_groups(&self, beside: &str, vpc: &str, ports: std::ops::Range<u16>) {
        let elb = self.moto().service("elbv2", &self.account_id);
        let asked = [("TargetGroupArns.member.1", beside)];
        let found = elb.call("DescribeTargetGroups", &asked).await;
        let balancer = found["TargetGroups"][0]["LoadBalancerArns"][0].as_str().expect("it is in use").to_owned();
        for port in ports {
            self.target_group(&elb, &balancer, ("more", vpc, port, "instance"), &[]).await;
        }
    }

    async fn target_group(
        &self,
        elb: &Service,
        balancer: &str,
        (name, vpc, port, kind): (&str, &str, u16, &str),
        targets: &[&str],
    ) -> String {
        let (name, port) = (format!("{name}-{port}"), port.to_string());
        let asked =
            [("Name", name.as_str()), ("Protocol", "TCP"), ("Port", &port), ("VpcId", vpc), ("TargetType", kind)];
        let made = elb.call("CreateTargetGroup", &asked).await;
        let group = text(&made["TargetGroups"][0], "TargetGroupArn");
        let listens = [
            ("LoadBalancerArn", balancer),
            ("Protocol", "TCP"),
            ("Port", &port),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &group),
        ];
        elb.call("CreateListener", &listens).await;
        for target in targets {
            let asked = [("TargetGroupArn", group.as_str()), ("Targets.member.1.Id", target)];
            elb.call("RegisterTargets", &asked).await;
        }
        group
    }

    /// A Classic Load Balancer.
    pub async fn balance_as_of_old(&self, name: &str, subnet: &str, instance: &str) {
        let elb = self.moto().service("elb", &self.account_id);
        let listener = [
            ("LoadBalancerName", name),
            ("Subnets.member.1", subnet),
            ("Listeners.member.1.Protocol", "tcp"),
            ("Listeners.member.1.LoadBalancerPort", "80"),
            ("Listeners.member.1.InstancePort", "80"),
        ];
        elb.call("CreateLoadBalancer", &listener).await;
        let instances = [("LoadBalancerName", name), ("Instances.member.1.InstanceId", instance)];
        elb.call("RegisterInstancesWithLoadBalancer", &instances).await;
    }
}
