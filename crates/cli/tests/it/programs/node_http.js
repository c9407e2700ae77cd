// Node's http through a proxy: an agent that keeps connections, absolute-form, CONNECT, an upgrade within the tunnel.
//
// Argument: the proxy's port. The origin is Node's own server, in this process.
const assert = require('node:assert');
const http = require('node:http');

const proxy = { host: '127.0.0.1', port: Number(process.argv[1]) };

const origin = http.createServer((request, response) => {
  if (request.url === '/stream') {
    response.write('a');
    setImmediate(() => response.end('b'));
    return;
  }
  let length = 0;
  request.on('data', (part) => { length += part.length; });
  request.on('end', () => {
    response.setHeader('x-seen', `${request.method} ${request.url} ${request.headers.host}`);
    response.end(`${length}`);
  });
});
origin.on('upgrade', (request, socket, early) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  socket.write(early);
  socket.pipe(socket);
});

function read(message) {
  return new Promise((resolve, reject) => {
    let text = '';
    message.on('data', (part) => { text += part; });
    message.on('end', () => resolve(text));
    message.on('error', reject);
  });
}

function send(options, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(options, async (response) => resolve([response, await read(response)]));
    request.on('error', reject);
    request.end(body);
  });
}

origin.listen(0, '127.0.0.1', async () => {
  const authority = `127.0.0.1:${origin.address().port}`;
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const through = (method, path) => ({ ...proxy, agent, method, path: `http://${authority}${path}` });
  const sockets = new Set();
  agent.on('free', (socket) => sockets.add(socket));

  for (const [method, body] of [['GET'], ['POST', 'x'.repeat(200000)], ['PUT', 'yy'], ['DELETE']]) {
    const [response, text] = await send(through(method, `/p?q=${method}`), body);
    assert.strictEqual(response.statusCode, 200);
    assert.strictEqual(response.headers['x-seen'], `${method} /p?q=${method} ${authority}`);
    assert.strictEqual(text, `${(body || '').length}`);
  }
  assert.strictEqual((await send(through('GET', '/stream')))[1], 'ab');
  assert.strictEqual(sockets.size, 1, 'one connection to the proxy for all of them');

  // An upgrade, within a tunnel.
  const tunnel = http.request({ ...proxy, method: 'CONNECT', path: authority });
  tunnel.on('connect', (answer, socket) => {
    assert.strictEqual(answer.statusCode, 200);
    const upgrade = http.request({
      createConnection: () => socket,
      path: '/',
      headers: { connection: 'Upgrade', upgrade: 'echo', host: authority },
    });
    upgrade.on('upgrade', (_, upgraded) => {
      let text = '';
      upgraded.on('data', (part) => {
        text += part;
        if (text === 'there and back') upgraded.end();
      });
      upgraded.on('close', () => {
        assert.strictEqual(text, 'there and back');
        console.log('ok');
        process.exit(0);
      });
      upgraded.write('there and back');
    });
    upgrade.end();
  });
  tunnel.end();
});
