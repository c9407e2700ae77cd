'use strict';
// A client of Node's own: node client.cjs http://HOST:PORT
const http2 = require('node:http2');
const assert = require('node:assert');

const session = http2.connect(process.argv[2]);
session.on('error', (error) => { throw error; });

function exchange(headers, send, options) {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, options);
    const seen = { hints: [], chunks: [], trailers: {} };
    stream.on('headers', (hints) => seen.hints.push(hints));
    stream.on('response', (head) => { seen.head = head; });
    stream.on('data', (chunk) => seen.chunks.push(chunk));
    stream.on('trailers', (trailers) => { seen.trailers = trailers; });
    stream.on('end', () => resolve({ ...seen, body: Buffer.concat(seen.chunks) }));
    stream.on('error', reject);
    if (send) send(stream);
  });
}

async function main() {
  const hello = await exchange({ ':path': '/hello' });
  assert.equal(hello.head[':status'], 200);
  assert.equal(hello.head['content-length'], '5');
  assert.equal(hello.body.toString(), 'hello');

  const many = await Promise.all(Array.from({ length: 90 }, () => exchange({ ':path': '/hello' })));
  assert.ok(many.every((one) => one.body.toString() === 'hello'));

  const large = Buffer.alloc(4 << 20, 'abcdefg');
  const echo = await exchange({ ':path': '/echo', ':method': 'POST' }, (stream) => stream.end(large));
  assert.ok(echo.body.equals(large));

  const both = await Promise.all([
    exchange({ ':path': '/large' }),
    exchange({ ':path': '/count', ':method': 'POST' }, (stream) => {
      stream.on('wantTrailers', () => stream.sendTrailers({ checksum: '9' }));
      stream.end(large);
    }, { waitForTrailers: true }),
  ]);
  assert.equal(both[0].body.length, 8 << 20);
  assert.equal(both[1].body.toString(), `${large.length} 9`);

  const trailers = await exchange({ ':path': '/trailers' });
  assert.equal(trailers.trailers.checksum, '7');
  assert.equal(trailers.body.toString(), 'body');

  const early = await exchange({ ':path': '/early' });
  assert.equal(early.hints[0][':status'], 103);
  assert.equal(early.hints[0].link, '</style.css>; rel=preload');
  assert.equal(early.body.toString(), 'late');

  const cookies = await exchange({ ':path': '/cookies', cookie: ['a=1', 'b=2', 'c=3'] });
  assert.equal(cookies.body.toString(), 'a=1; b=2; c=3');

  const head = await exchange({ ':path': '/hello', ':method': 'HEAD' });
  assert.equal(head.head['content-length'], '5');
  assert.equal(head.body.length, 0);

  // Cancelled, and the session goes on.
  const never = session.request({ ':path': '/never' });
  await new Promise((resolve) => { never.on('close', resolve); never.close(http2.constants.NGHTTP2_CANCEL); });

  const tunnel = await exchange({ ':method': 'CONNECT', ':authority': 'b.test:443' }, (stream) => {
    stream.write('through the ');
    stream.end('tunnel');
  });
  assert.equal(tunnel.head[':status'], 200);
  assert.equal(tunnel.body.toString(), 'through the tunnel');

  if (!session.remoteSettings.enableConnectProtocol) throw new Error('no extended CONNECT');
  const websocket = await exchange(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat', ':scheme': 'http' },
    (stream) => stream.end('frames'),
  );
  assert.equal(websocket.body.toString(), 'frames');

  await new Promise((resolve, reject) => session.ping((error) => (error ? reject(error) : resolve())));
  session.close();
  console.log('fine');
}

main().catch((error) => { console.error(error); process.exit(1); });
