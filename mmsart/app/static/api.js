// Talking to the server: JSON, blocks of bytes, files.

export class ApiError extends Error {
  constructor(message, status = 0) { super(message); this.status = status; }
}

async function answer(response) {
  if (response.ok) return response;
  const text = await response.text();
  let detail = text;
  try { detail = JSON.parse(text).detail; } catch { /* plain text */ }
  throw new ApiError(typeof detail === 'string' && detail ? detail : `the server answers ${response.status}`, response.status);
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError('the program does not answer: is mmsart app still running?');
  }
  return answer(response);
}

// What is asked of a server's pictures is not meant for another one at the same address, whose
// pictures have the same numbers.
let start = '';
export const meanServer = value => { start = value; };

const asJson = body => ({
  method: 'POST', headers: { 'content-type': 'application/json', 'x-start': start }, body: JSON.stringify(body) });

export const getJson = async path => (await ask(path)).json();
export const postJson = async (path, body = {}) => (await ask(path, asJson(body))).json();
export const remove = async path => (await ask(path, { method: 'DELETE', headers: { 'x-start': start } })).json();
export const getBlock = async path => (await ask(path)).arrayBuffer();
export const postForBlock = async (path, body = {}) => (await ask(path, asJson(body))).arrayBuffer();
export const postForFile = async (path, body = {}) => {
  const response = await ask(path, asJson(body));
  return { blob: await response.blob(), leftOut: Number(response.headers.get('x-left-out')) };
};

// Where a picture of an item lies. What browsers keep of another one under the same number, or of
// this one before it was read in another way, must not be taken for it.
export const pictureOf = ({ id, added, runs }, part) => `/api/items/${id}/${part}?of=${added}-${runs}`;

// XMLHttpRequest rather than fetch: it says how much of a file has gone.
export function upload(path, file, onProgress = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', path);
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.addEventListener('progress', event => onProgress(event.loaded / Math.max(event.total, 1)));
    request.addEventListener('error', () => reject(new ApiError('the connection broke off')));
    request.addEventListener('load', () => {
      let plain = null;
      try { plain = JSON.parse(request.responseText); } catch { /* plain text */ }
      if (request.status < 300) resolve(plain);
      else reject(new ApiError((plain && plain.detail) || request.responseText || `the server answers ${request.status}`, request.status));
    });
    request.send(file);
  });
}
