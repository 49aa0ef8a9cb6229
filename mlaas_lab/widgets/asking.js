// @ts-check
/** How a live view asks our part of the Jupyter server: the one it is from, and nobody else. It stands before the view. */

/**
 * Asks our part of the Jupyter server; false where there is none, or it knows nothing of that.
 * @param {string} path @param {AbortSignal} signal
 */
async function byServer(path, signal) {
  const told = document.getElementById("jupyter-config-data")?.textContent;
  if (!told) return false;
  try {
    const { baseUrl, token } = JSON.parse(told);
    const xsrf = /(?:^|; )_xsrf=([^;]*)/.exec(document.cookie)?.[1];
    /** @type {Record<string, string>} */
    const headers = { ...(xsrf ? { "X-XSRFToken": decodeURIComponent(xsrf) } : {}), ...(token ? { Authorization: `token ${token}` } : {}) };
    const answer = await fetch(new URL(`${baseUrl}mlaas_lab/${path}`, location.origin), { method: "POST", headers, credentials: "same-origin", signal });
    return answer.ok;
  } catch {
    return false; // It is not there.
  }
}

