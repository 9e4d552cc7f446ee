"""What Schemathesis can't think of: a token that is good now, ids that exist, and passwords that are right.

Loaded by it for `openapi.rs`. Every other request that is meant to be right gets what it takes to succeed, so that answers of
success are judged too; where its session was ended it signs in anew. What each operation answered is left in `statuses.json`.
"""

import atexit
import json
import os
from collections import defaultdict

import requests
import schemathesis

URL = os.environ["DOORWARD"]
PASSWORD = os.environ["DOORWARD_PASSWORD"]
ADMIN, OTHER = "root@example.com", "other@example.com"


class World:
    """The administrator who asks, and an account that things are done to."""

    def __init__(self):
        self.http = requests.Session()
        self.password = PASSWORD
        self.admin = self.login(ADMIN, PASSWORD)
        self.statuses = defaultdict(set)
        self.asked = defaultdict(int)

    def login(self, email, password):
        answer = self.http.post(URL + "/auth/login", json={"email": email, "password": password})
        answer.raise_for_status()
        return answer.json()

    def bearer(self):
        header = {"Authorization": "Bearer " + self.admin["access_token"]}
        if self.http.get(URL + "/profile", headers=header).status_code == 200:
            return header
        self.admin = self.login(ADMIN, self.password)
        return {"Authorization": "Bearer " + self.admin["access_token"]}

    def other(self):
        """The other account's id; it is made anew where it was deleted, and enabled."""
        body = {"email": OTHER, "password": PASSWORD}
        made = self.http.post(URL + "/auth/register", json=body)
        if made.status_code == 201:
            return made.json()["id"]
        found = self.http.get(URL + "/admin/users", params={"search": OTHER}, headers=self.bearer())
        return found.json()["users"][0]["id"]

    def others_session(self):
        user = self.other()
        self.http.put(f"{URL}/admin/users/{user}/disabled", json={"disabled": False}, headers=self.bearer())
        self.login(OTHER, PASSWORD)
        listed = self.http.get(f"{URL}/admin/users/{user}/sessions", headers=self.bearer())
        return listed.json()["sessions"][-1]["id"]

    def own_session(self):
        self.login(ADMIN, self.password)
        listed = self.http.get(URL + "/auth/sessions", headers=self.bearer())
        return next(one["id"] for one in listed.json()["sessions"] if not one["current"])


WORLD = None


def leave_statuses():
    with open("statuses.json", "w") as file:
        json.dump({name: sorted(seen) for name, seen in WORLD.statuses.items()}, file)


def world():
    global WORLD
    if WORLD is None:
        WORLD = World()
        atexit.register(leave_statuses)
    return WORLD


def name_of(case):
    return f"{case.method.upper()} {case.operation.path}"


def right(case, world):
    """Makes the request one that can succeed."""
    match name_of(case):
        case "POST /auth/login":
            case.body = {"email": ADMIN, "password": world.password}
        case "POST /auth/refresh":
            case.body = {"refresh_token": world.login(ADMIN, world.password)["refresh_token"]}
        case "POST /auth/register" | "POST /admin/users":
            world.asked["made"] += 1
            case.body = {"email": f"made{world.asked['made']}@example.com", "password": PASSWORD}
        case "PUT /auth/password":
            new = f"hole-of-a-rabbit-{world.asked['PUT /auth/password']}"
            case.body = {**case.body, "current_password": world.password, "new_password": new}
        case "DELETE /auth/sessions/{id}" | "PUT /auth/sessions/{id}":
            case.path_parameters = {"id": world.own_session()}
        case "DELETE /admin/sessions/{id}":
            case.path_parameters = {"id": world.others_session()}
        case name if "/admin/users/{id}" in name:
            case.path_parameters = {"id": world.other()}


@schemathesis.hook
def before_call(context, case, kwargs):
    state = world()
    case.headers["Authorization"] = state.bearer()["Authorization"]
    name = name_of(case)
    meant = case.meta is None or case.meta.generation.mode.is_positive
    if meant:
        state.asked[name] += 1
        if state.asked[name] % 2 == 1:
            right(case, state)


@schemathesis.hook
def after_call(context, case, response):
    state, name = world(), name_of(case)
    state.statuses[name].add(response.status_code)
    if name == "PUT /auth/password" and response.status_code == 200:
        state.password = case.body["new_password"]
