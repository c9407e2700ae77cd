// Node's http2 as the client of a proxy: tunnels by CONNECT, half-closed, beside requests with an absolute http URI.
//
// Argument: the proxy's URL. The origins are Node's own servers, in this process.
const assert = require('node:assert');
const http = require('node:http');
const http2 = require('node:http2');
const net = require('node:net');

const ANSWER = Buffer.alloc(1000003, 'answer');

// Answers when the client has ended its side, and not before.
const late = net.createServer({ allowHalfOpen: true }, (socket) => {
  let length = 0;
  socket.on('data', (part) => { length += part.length; });
  socket.on('end', () => { socket.write(`${length} `); socket.end(ANSWER); });
});
const origin = http.createServer((request, response) => {
  response.setHeader('x-seen', `${request.method} ${request.headers.host} ${request.headers.via}`);
  request.pipe(response);
});

function listen(server) {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
}

function read(stream) {
  return new Promise((resolve, reject) => {
    const parts = [];
    let headers;
    stream.on('response', (seen) => { headers = seen; });
    stream.on('data', (part) => parts.push(part));
    stream.on('end', () => resolve([headers, Buffer.concat(parts)]));
    stream.on('error', reject);
  });
}

async function main() {
  const [tunnelPort, originPort] = [await listen(late), await listen(origin)];
  const proxy = http2.connect(process.argv[1], { rejectUnauthorized: false });
  proxy.on('error', (error) => { throw error; });

  const upload = Buffer.alloc(1000003, 'question');
  const tunnel = async () => {
    const stream = proxy.request({ ':method': 'CONNECT', ':authority': `127.0.0.1:${tunnelPort}` });
    stream.end(upload);
    const [headers, answer] = await read(stream);
    assert.strictEqual(headers[':status'], 200);
    assert.ok(answer.equals(Buffer.concat([Buffer.from(`${upload.length} `), ANSWER])), `${answer.length} bytes`);
  };
  const forward = async (body) => {
    const stream = proxy.request({
      ':method': 'POST', ':scheme': 'http', ':authority': `127.0.0.1:${originPort}`, ':path': '/a',
    });
    stream.end(body);
    const [headers, answer] = await read(stream);
    assert.strictEqual(headers[':status'], 200);
    assert.match(headers['x-seen'], new RegExp(`^POST 127.0.0.1:${originPort} 2\\S* `));
    assert.strictEqual(headers.connection, undefined);
    assert.strictEqual(answer.toString(), body);
  };
  await Promise.all([tunnel(), forward('one'), tunnel(), forward('two'), tunnel(), tunnel()]);

  // Refused: nobody listens on the port of the target.
  const refused = proxy.request({ ':method': 'CONNECT', ':authority': '127.0.0.1:1' });
  refused.end();
  const [headers] = await read(refused);
  assert.strictEqual(headers[':status'], 502);

  await new Promise((resolve) => proxy.close(resolve));
  late.close();
  origin.close();
  origin.closeAllConnections();
  console.log('ok');
}

main();
