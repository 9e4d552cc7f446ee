// A load test for k6, with two scenarios to choose from by SCENARIO:
//
//   rounds (the default)  users come, are signed in, asked who they are, refreshed and signed out again, with a pause of 0 to 5 s
//                         between rounds: up to VUS of them (1000), 20 s up, 10 s steady, 20 s down
//   checks                RATE requests a second (10000) for DURATION (30s), whether or not earlier ones were answered, each with a
//                         token that is checked; CHECK_URL says where (BASE_URL/ unless it is set)
//
//   BASE_URL              where doorward's session plane is, or a proxy that passes it on (http://127.0.0.1:8080)
//   CALLER_KEYS_FILE      a file whose first line POST /login wants as a key; unset where the address is trusted
//   USERS                 how many users there are (1000000 in rounds, 1000 in checks)
//
// `./bench load` runs both against one doorward; deploy/compose.yaml has it as profile `load-test`.
import http from 'k6/http';
import { check, sleep } from 'k6';

const scenario = __ENV.SCENARIO || 'rounds';
const base = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const checked = __ENV.CHECK_URL || `${base}/`;
const users = Number(__ENV.USERS || (scenario === 'rounds' ? 1000000 : 1000));
const callerKey = __ENV.CALLER_KEYS_FILE ? open(__ENV.CALLER_KEYS_FILE).split('\n')[0] : '';
const vus = Number(__ENV.VUS || 1000);

const scenarios = {
  rounds: {
    executor: 'ramping-vus',
    exec: 'round',
    stages: [
      { duration: '20s', target: vus },
      { duration: '10s', target: vus },
      { duration: '20s', target: 0 },
    ],
    gracefulRampDown: '10s',
  },
  checks: {
    executor: 'constant-arrival-rate',
    exec: 'ask',
    rate: Number(__ENV.RATE || 10000),
    timeUnit: '1s',
    duration: __ENV.DURATION || '30s',
    preAllocatedVUs: Number(__ENV.VUS || 100),
    maxVUs: 1000,
  },
};
const slowest = { rounds: 'p(99)<15', checks: 'p(99)<10' };

export const options = {
  scenarios: { [scenario]: scenarios[scenario] },
  // Setting up is measured too, so only what has the scenario's name counts.
  thresholds: {
    [`http_req_failed{scenario:${scenario}}`]: ['rate==0'],
    [`http_req_duration{scenario:${scenario}}`]: [slowest[scenario]],
    checks: ['rate==1'],
  },
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  discardResponseBodies: scenario === 'checks',
};

function bearer(token) {
  return { headers: { Authorization: `Bearer ${token}` } };
}

function post(path, body, params = {}) {
  const headers = Object.assign({ 'Content-Type': 'application/json' }, params.headers);
  return http.post(`${base}${path}`, JSON.stringify(body), { headers, responseType: 'text' });
}

function login(user) {
  return post('/login', { user_id: user }, callerKey ? bearer(callerKey) : {});
}

function right(response, status) {
  return check(response, { 'answered as it must be': (r) => r.status === status });
}

export function round() {
  const user = 1 + Math.floor(Math.random() * users);
  right(http.get(`${base}/ping`), 200);
  const first = login(user);
  if (right(first, 200)) {
    const pair = first.json();
    right(http.get(`${base}/authenticate`, bearer(pair.access)), 200);
    const second = post('/refresh', { refresh: pair.refresh });
    const last = right(second, 200) ? second.json() : pair;
    right(http.post(`${base}/logout`, null, bearer(last.access)), 200);
  }
  sleep(Math.random() * 5);
}

export function setup() {
  if (scenario !== 'checks') {
    return [];
  }
  const tokens = [];
  for (let user = 1; user <= users; user += 1) {
    tokens.push(login(user).json('access'));
  }
  return tokens;
}

export function ask(tokens) {
  const token = tokens[Math.floor(Math.random() * tokens.length)];
  const headers = { Authorization: `Bearer ${token}`, 'X-Original-Method': 'GET', 'X-Original-URI': '/reports' };
  right(http.get(checked, { headers }), 200);
}
