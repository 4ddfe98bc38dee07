// A client of the control API with the libraries, the options and the error handling of the
// reference's graphical interface. It does what its standard input says, one JSON object a line:
//
//   {"id": 1, "service": "Control", "method": "GetEnvironment", "request": {...}, "deadline": 9000}
//
// and answers on standard output with {"id", "reply"}, {"id", "error"}, and for streams {"id",
// "data"} until {"id", "end"}. {"id": 2, "cancel": 1} cancels a call.
//
//   node client.js SERVICES
//
// SERVICES is a JSON list of {name, file, package, address, loading, options}.

'use strict';

const readline = require('readline');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');

const LOADING = { longs: String, keepCase: false, arrays: true };
const LONGEST_MESSAGE = 50 * 1024 * 1024;
const READY_MS = 10000;

// What the details of an error hold: a google.rpc.Status with Any entries.
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message EnvironmentInfo { string id = 1; int64 createdWhen = 2; string state = 3; }
`, { keepCase: true });

function failure(error) {
  const found = { code: error.code, details: error.details, metadata: {} };
  for (const [key, value] of Object.entries(error.metadata ? error.metadata.getMap() : {})) {
    if (!key.endsWith('-bin')) found.metadata[key] = value;
  }
  const [packed] = error.metadata ? error.metadata.get('grpc-status-details-bin') : [];
  if (packed) {
    const status = root.lookupType('Status').decode(packed);
    found.status = { code: status.code, message: status.message };
    found.environments = status.details
      .filter((one) => one.type_url.split('/').pop() === 'o2control.EnvironmentInfo')
      .map((one) => root.lookupType('EnvironmentInfo')
        .toObject(root.lookupType('EnvironmentInfo').decode(one.value), { longs: String }));
  }
  return found;
}

function say(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

const clients = {};
for (const one of JSON.parse(process.argv[2])) {
  const definition = loader.loadSync(one.file, { ...LOADING, ...one.loading });
  const loaded = grpc.loadPackageDefinition(definition)[one.package];
  clients[one.name] = new loaded[one.name](one.address, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': LONGEST_MESSAGE,
    'grpc.enable_http_proxy': 0,
    ...one.options,
  });
}

const calls = {};

function begin(asked) {
  if (asked.cancel !== undefined) {
    calls[asked.cancel].cancel();
    return;
  }
  const client = clients[asked.service];
  const { path, responseStream } = client[asked.method];
  const options = asked.deadline ? { deadline: Date.now() + asked.deadline } : {};
  if (responseStream) {
    const stream = client[asked.method](asked.request, options);
    stream.on('data', (data) => say({ id: asked.id, data }));
    stream.on('error', (error) => say({ id: asked.id, error: failure(error) }));
    stream.on('end', () => say({ id: asked.id, end: true }));
    calls[asked.id] = stream;
  } else {
    calls[asked.id] = client[asked.method](asked.request, options, (error, reply) => {
      delete calls[asked.id];
      say(error ? { id: asked.id, error: failure(error) } : { id: asked.id, reply, path });
    });
  }
}

const ready = Object.values(clients).map((client) => new Promise((resolve, reject) => {
  client.waitForReady(Date.now() + READY_MS, (error) => (error ? reject(error) : resolve()));
}));
Promise.all(ready).then(() => {
  say({ ready: true });
  readline.createInterface({ input: process.stdin })
    .on('line', (line) => begin(JSON.parse(line)))
    .on('close', () => process.exit(0));
}, (error) => {
  say({ ready: false, error: String(error) });
  process.exit(1);
});
