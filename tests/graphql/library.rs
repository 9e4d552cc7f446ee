//! A client library of another language, which knows nothing of us but GraphQL.

use std::process::Command;

use crate::need;
use crate::service::{PASSWORD, Service, Store};

/// Registers, signs in, asks, refreshes and signs out; each operation is first held against the documented schema.
const SCRIPT: &str = r#"
import json, sys
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport

url, schema, password = sys.argv[1], open(sys.argv[2]).read(), sys.argv[3]

def client(token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Client(transport=RequestsHTTPTransport(url=url, headers=headers), schema=schema)

def run(document, token=None, **variables):
    query = gql(document)
    query.variable_values = variables
    return client(token).execute(query)

fields = "{ status errors { path message } payload }"
register = run("mutation R($e: String!, $p: String!) { register(email: $e, password: $p) %s }" % fields, e="alice@example.com", p=password)
assert register["register"]["status"] == 201, register
sign_in = "mutation L($e: String!, $p: String!) { login(email: $e, password: $p) %s }" % fields
wrong = run(sign_in, e="alice@example.com", p="wrong-hole-7")["login"]
assert wrong["status"] == 401 and wrong["payload"] is None and wrong["errors"][0]["path"] == "email", wrong
tokens = json.loads(run(sign_in, e="alice@example.com", p=password)["login"]["payload"])
access = run("mutation { refresh }", tokens["refresh_token"])["refresh"]
me = run("{ me { id email confirmed createdAt updatedAt } }", access)["me"]
assert me["email"] == "alice@example.com" and me["confirmed"] is False and me["createdAt"].endswith("Z"), me
assert run("mutation { logout }", tokens["refresh_token"]) == {"logout": True}
try:
    run("{ me { id } }", access)
    sys.exit("an ended session was let in")
except TransportQueryError as refused:
    assert refused.errors[0]["extensions"]["code"] == "UNAUTHENTICATED", refused.errors
    assert refused.data is None
"#;

#[test]
fn a_python_client_library_registers_signs_in_asks_refreshes_and_signs_out() {
    let gql = need!("gql-cli");
    let service = Service::start(Store::Sqlite);
    let run = Command::new(gql.with_file_name("python"))
        .args(["-c", SCRIPT, &format!("http://{}/graphql", service.public())])
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema.graphql"), PASSWORD])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
