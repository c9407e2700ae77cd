// A thousand clients at the same time: the origin answers nobody before all of them have asked.
//
// Arguments: the proxy's port, the number of clients. Every second one comes through a tunnel.
const assert = require('node:assert');
const http = require('node:http');

const proxy = { host: '127.0.0.1', port: Number(process.argv[1]) };
const clients = Number(process.argv[2]);

const waiting = [];
const origin = http.createServer((request, response) => {
  waiting.push([request, response]);
  if (waiting.length === clients) {
    for (const [asked, answer] of waiting) answer.end(asked.url);
  }
});
origin.keepAliveTimeout = 0;

let answered = 0;
function answer(n) {
  return (response) => {
    let text = '';
    response.on('data', (part) => { text += part; });
    response.on('end', () => {
      assert.strictEqual(text, `/${n}`);
      answered += 1;
      if (answered === clients) {
        console.log('ok');
        process.exit(0);
      }
    });
  };
}

origin.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  const authority = `127.0.0.1:${origin.address().port}`;
  for (let n = 0; n < clients; n += 1) {
    if (n % 2 === 0) {
      http.get({ ...proxy, agent: false, path: `http://${authority}/${n}` }, answer(n));
    } else {
      const tunnel = http.request({ ...proxy, agent: false, method: 'CONNECT', path: authority });
      tunnel.on('connect', (connected, socket) => {
        assert.strictEqual(connected.statusCode, 200);
        http.get({ createConnection: () => socket, path: `/${n}`, headers: { host: authority } }, answer(n));
      });
      tunnel.end();
    }
  }
});
