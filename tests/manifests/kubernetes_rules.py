"""What every overlay of envoy/kubernetes must keep: functions that name what breaks a rule."""
import pathlib
import re

import jsonschema
import kubernetes_validate
import yaml

from test_istio import strict

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Secrets that README.md says how to make; nothing else may be asked for.
SECRETS = {"api-gateway-credentials", "api-gateway-provider-keys", "redis-password", "caller"}
CRDS = {
    "ServiceMonitor": "servicemonitors.monitoring.coreos.com",
    "PrometheusRule": "prometheusrules.monitoring.coreos.com",
    "ExternalSecret": "externalsecrets.external-secrets.io",
}
# An image is another after each of these: no tag, or one that moves.
MOVING = re.compile(r"^[^:@]+(:\d+/[^:@]+)?$|:(latest|main|master|stable|edge|dev)$")
# What keys look like: a provider's, ours, a private one.
KEY = re.compile(r"\bsk-[\w-]{8,}|\btg_[\w-]{16,}|BEGIN [A-Z ]*PRIVATE KEY")
# Environment that is secret by its name.
SECRET_NAME = re.compile(r"KEY|JWKS|PASSWORD|TOKEN|SECRET|AUTH")


def name(document: dict) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


def of(documents: list[dict], *kinds: str) -> list[dict]:
    return [document for document in documents if document["kind"] in kinds]


def pods(documents: list[dict]) -> list[tuple[str, dict, dict]]:
    """Who makes pods, the labels of those, and their specification."""
    found = []
    for document in documents:
        spec = document.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template") if isinstance(spec, dict) else None
        if document["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
            found.append((name(document), template["metadata"]["labels"], template["spec"]))
    return found


def containers(documents: list[dict]) -> list[tuple[str, dict]]:
    return [(f"{owner} {box['name']}", box) for owner, _, spec in pods(documents) for box in spec.get("initContainers", []) + spec["containers"]]


def schema(documents: list[dict], version: str) -> list[str]:
    """What Kubernetes of that version would refuse, or drop because it does not know it."""
    wrong = []
    for document in documents:
        try:
            if document["kind"] in CRDS:
                # Not `validate`, which looks at the schema too: it has a pattern that Go reads and Python does not.
                jsonschema.Draft202012Validator(crd_schema(document)).validate(document)
            else:
                kubernetes_validate.validate(document, version, strict=True)
        except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
            wrong.append(f"{name(document)}: {'.'.join(map(str, error.path))}: {error.message[:200]}")
        except kubernetes_validate.SchemaNotFoundError as error:
            wrong.append(f"{name(document)}: {error.message}")
    return wrong


def crd_schema(document: dict) -> dict:
    crd = yaml.safe_load((ROOT / "tests/manifests/crds" / f"{CRDS[document['kind']]}.yaml").read_text())
    version = document["apiVersion"].removeprefix(crd["spec"]["group"] + "/")
    (found,) = [entry for entry in crd["spec"]["versions"] if entry["name"] == version and entry["served"]]
    made = strict(found["schema"]["openAPIV3Schema"])
    made["properties"] |= {"metadata": {"type": "object"}}
    return made


def images(documents: list[dict]) -> list[str]:
    return [f"{owner}: {box['image']} may be another image tomorrow" for owner, box in containers(documents) if MOVING.search(box["image"])]


def secrets(documents: list[dict]) -> list[str]:
    """Secrets in clear, and Secrets that nobody is told to make."""
    wrong = [f"{name(document)} is in clear" for document in of(documents, "Secret")]
    wrong += [f"{name(document)}: something like a key" for document in documents if KEY.search(yaml.safe_dump(document))]
    for owner, box in containers(documents):
        wrong += [f"{owner}: {entry['name']} is in clear" for entry in box.get("env", []) if SECRET_NAME.search(entry["name"]) and "value" in entry]
    wrong += [f"{found} is not documented" for found in asked_secrets(documents) - SECRETS]
    return wrong


def asked_secrets(documents: list[dict]) -> set[str]:
    asked = {volume["secret"]["secretName"] for _, _, spec in pods(documents) for volume in spec.get("volumes", []) if "secret" in volume}
    for _, box in containers(documents):
        asked |= {entry["valueFrom"]["secretKeyRef"]["name"] for entry in box.get("env", []) if "secretKeyRef" in entry.get("valueFrom", {})}
        asked |= {entry["secretRef"]["name"] for entry in box.get("envFrom", []) if "secretRef" in entry}
    return asked


def hardening(documents: list[dict]) -> list[str]:
    wrong = []
    for owner, _, spec in pods(documents):
        pod = spec.get("securityContext", {})
        wanted = {
            "runAsNonRoot": pod.get("runAsNonRoot") is True and pod.get("runAsUser", 0) > 0,
            "seccompProfile": pod.get("seccompProfile") == {"type": "RuntimeDefault"},
            "no token of a service account": spec.get("automountServiceAccountToken") is False,
            "no share of the host": not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")),
            "no folder of the host": not any("hostPath" in volume for volume in spec.get("volumes", [])),
        }
        wrong += [f"{owner}: {what}" for what, is_so in wanted.items() if not is_so]
    for owner, box in containers(documents):
        context = box.get("securityContext", {})
        resources = box.get("resources", {})
        wanted = {
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is False,
            "readOnlyRootFilesystem": context.get("readOnlyRootFilesystem") is True,
            "privileged": not context.get("privileged"),
            "capabilities": context.get("capabilities") == {"drop": ["ALL"]},
            "requests and limits": all({"cpu", "memory"} <= set(resources.get(key, {})) for key in ("requests", "limits")),
        }
        wrong += [f"{owner}: {what}" for what, is_so in wanted.items() if not is_so]
    return wrong


def fits(selector: dict, labels: dict) -> bool:
    for rule in selector.get("matchExpressions", []):
        if rule["operator"] != "In" or labels.get(rule["key"]) not in rule["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def references(documents: list[dict]) -> list[str]:
    """What names something that is not there."""
    wrong = []
    there = {name(document) for document in documents}
    templates = {f"PersistentVolumeClaim/{claim['metadata']['name']}-{owner['metadata']['name']}-0" for owner in of(documents, "StatefulSet") for claim in owner["spec"].get("volumeClaimTemplates", [])}
    everybody = pods(documents)

    def ports(selector: dict) -> set:
        boxes = [box for _, labels, spec in everybody if fits(selector, labels) for box in spec["containers"]]
        return {port[key] for box in boxes for port in box.get("ports", []) for key in ("name", "containerPort")}

    def selects(owner: str, selector: dict) -> None:
        if not any(fits(selector, labels) for _, labels, _ in everybody):
            wrong.append(f"{owner} selects no pod")

    for document in of(documents, "Deployment", "StatefulSet"):
        if not fits(document["spec"]["selector"], document["spec"]["template"]["metadata"]["labels"]):
            wrong.append(f"{name(document)} does not select its own pods")
        if "serviceName" in document["spec"] and f"Service/{document['spec']['serviceName']}" not in there:
            wrong.append(f"{name(document)}: no such Service")
    for document in of(documents, "Service"):
        selector = {"matchLabels": document["spec"]["selector"]}
        selects(name(document), selector)
        wrong += [f"{name(document)}: no port {port['targetPort']}" for port in document["spec"]["ports"] if port["targetPort"] not in ports(selector)]
    for document in of(documents, "PodDisruptionBudget"):
        selects(name(document), document["spec"]["selector"])
    for document in of(documents, "HorizontalPodAutoscaler"):
        target = document["spec"]["scaleTargetRef"]
        (scaled,) = [found for found in documents if name(found) == f"{target['kind']}/{target['name']}"] or [None]
        if not scaled or scaled["apiVersion"] != target["apiVersion"]:
            wrong.append(f"{name(document)} scales nothing")
        elif "replicas" in scaled["spec"]:
            wrong.append(f"{name(document)} and {name(scaled)} both say how many")
    for document in of(documents, "NetworkPolicy"):
        selector = document["spec"]["podSelector"]
        selects(name(document), selector)
        for rule in document["spec"].get("ingress", []):
            wrong += [f"{name(document)}: no port {port['port']}" for port in rule.get("ports", []) if port["port"] not in ports(selector)]
        for rule in [*document["spec"].get("ingress", []), *document["spec"].get("egress", [])]:
            for peer in rule.get("from", rule.get("to", [])):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    selects(f"{name(document)}, a peer", peer["podSelector"])
    for document in of(documents, "ServiceMonitor"):
        for endpoint in document["spec"]["endpoints"]:
            if not any(fits(document["spec"]["selector"], service["metadata"].get("labels", {})) and endpoint["port"] in [port["name"] for port in service["spec"]["ports"]] for service in of(documents, "Service")):
                wrong.append(f"{name(document)} finds no Service with a port {endpoint['port']}")
    for owner, _, spec in everybody:
        asked = {f"ServiceAccount/{spec['serviceAccountName']}"} if "serviceAccountName" in spec else set()
        asked |= {f"ConfigMap/{volume['configMap']['name']}" for volume in spec.get("volumes", []) if "configMap" in volume}
        asked |= {f"PersistentVolumeClaim/{volume['persistentVolumeClaim']['claimName']}" for volume in spec.get("volumes", []) if "persistentVolumeClaim" in volume}
        wrong += [f"{owner}: no {what}" for what in sorted(asked - there - templates)]
        volumes = {volume["name"] for volume in spec.get("volumes", [])} | {claim["metadata"]["name"] for found in of(documents, "StatefulSet") for claim in found["spec"].get("volumeClaimTemplates", []) if name(found) == owner}
        wrong += [f"{owner}: no volume {mount['name']}" for box in spec["containers"] for mount in box.get("volumeMounts", []) if mount["name"] not in volumes]
        for box in spec["containers"]:
            named = {port["name"] for port in box.get("ports", [])}
            probes = [box[key] for key in ("startupProbe", "livenessProbe", "readinessProbe") if "httpGet" in box.get(key, {})]
            wrong += [f"{owner}: a probe of no port {probe['httpGet']['port']}" for probe in probes if probe["httpGet"]["port"] not in named]
    return wrong


def network(documents: list[dict]) -> list[str]:
    """Every pod is closed but for what is named, and nothing is open to all."""
    policies = [document["spec"] for document in of(documents, "NetworkPolicy")]
    wrong = []
    if {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} not in policies:
        wrong.append("no policy denies what is not named")
    for document in of(documents, "NetworkPolicy"):
        for rule in [*document["spec"].get("ingress", []), *document["spec"].get("egress", [])]:
            peers = rule.get("from", rule.get("to", []))
            if not peers or not rule.get("ports") or any(peer in ({}, {"namespaceSelector": {}}, {"podSelector": {}}) for peer in peers):
                wrong.append(f"{name(document)}: a rule is open to all")
            if any("ipBlock" in peer and len(peer["ipBlock"].get("except", [])) < 3 for peer in peers) or any("ipBlock" in peer for peer in peers) and [port["port"] for port in rule["ports"]] != [443]:
                wrong.append(f"{name(document)}: more than HTTPS to the internet")
    return wrong


RULES = {"images": images, "secrets": secrets, "hardening": hardening, "references": references, "network": network}
