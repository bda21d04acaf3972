// The tag of a landing page: it records the click, hands its id on to offer links, and tells events.
//
//   <script async src="https://t.example.com/tag.js" data-campaign="8599"></script>
//
// It is served without comments and indentation, with CONFIGURATION in place:
//   endpoint  where the relay takes clicks and events
//   params    a pattern of the landing parameters that the installed destinations need
//   cookies   a pattern of the cookies that they need
//   groups    what AutoTag knows: { name, param, hosts, paths }, one for each kind of network
//
// It never throws into the page, waits for nothing, and runs wherever ES2017 does.
(() => {
  const config = CONFIGURATION;
  const page = document;
  // After 30 days an old click earns nothing more: the next page makes a new one.
  const life = 30 * 864e5;
  const options = (page.currentScript || page.documentElement).dataset;
  // What is kept of the visitor: { click, pending, outbox }. Absent until there is consent.
  let state;
  // The href that each link had when it was last looked at. Only links of an offer are in it.
  const seen = new WeakMap();
  let scanning;

  const guarded = work => (...given) => {
    try {
      return work(...given);
    } catch (error) {
      // A tag that fails must not take the page with it.
    }
  };

  const matches = (pattern, text) => new RegExp(pattern, 'i').test(text);

  const cookie = name => {
    const found = ('; ' + page.cookie).split('; ' + name + '=')[1];
    return found && found.split(';')[0];
  };

  // On the widest domain that the browser allows, so that the relay's own host, a neighbour, sees it.
  const setCookie = (value, seconds) => {
    const labels = location.hostname.split('.');
    for (let from = labels.length; from-- > -1 && cookie('pb_cid') !== value;) {
      page.cookie = 'pb_cid=' + value + '; path=/; samesite=lax; max-age=' + seconds
        + (from < 0 ? '' : '; domain=' + labels.slice(from).join('.'))
        + (location.protocol === 'https:' ? '; secure' : '');
    }
  };

  const save = guarded(() => localStorage.postbridge = JSON.stringify(state));

  // As the relay mints it: 9 digits of time and 20 of chance, base 36.
  const mint = () => {
    let id = Date.now().toString(36).padStart(9, 0);
    crypto.getRandomValues(new Uint32Array(20)).forEach(number => id += (number % 36).toString(36));
    return id;
  };

  // `now` beside a message's own `at`: the relay reads how long ago it was, whatever this clock says.
  const body = message => JSON.stringify(Object.assign({ now: Date.now() }, message));

  // A beacon outlives the page but says nothing of what became of it.
  const beacon = (path, message) =>
    navigator.onLine !== false && navigator.sendBeacon(config.endpoint + path, body(message));

  // What an earlier page could not be sure of is sent until the relay answers for it. It knows a repeat.
  const confirm = (path, message, done) =>
    fetch(config.endpoint + path, { method: 'POST', body: body(message), keepalive: true, credentials: 'include' })
      .then(answer => {
        if (answer.status < 429) {
          done();
          save();
        }
      })
      .catch(() => {});

  const sendClick = () => {
    state.pending = true;
    save();
    guarded(beacon)('click', state.click);
  };

  const sendEvent = message => {
    message = Object.assign({ click_id: state.click.click_id, at: Date.now() }, message);
    if (!guarded(beacon)('event', message)) {
      state.outbox = state.outbox.concat([['event', message]]).slice(-20);
      save();
    }
  };

  const flush = () => {
    const click = state.click;
    const sent = JSON.stringify(click);
    state.pending && confirm('click', click, () => state.pending = JSON.stringify(state.click) !== sent);
    state.outbox.forEach(entry =>
      confirm(entry[0], entry[1], () => state.outbox = state.outbox.filter(other => other !== entry)));
  };

  // Cookies that other scripts set after this one ran.
  const readCookies = () => {
    const kept = state.click.cookies;
    let news;
    page.cookie.replace(/([^=; ]+)=([^;]+)/g, (pair, name, value) => {
      if (matches(config.cookies, name) && !kept[name]) {
        news = kept[name] = value;
      }
    });
    return news;
  };

  const readLate = guarded(() => state && readCookies() && sendClick());

  // The click of this page: the one that its URL names, as that of an offer may (`?pb_cid={click_id}`);
  // the one that is kept; or a new one where the URL brings other landing parameters than the last.
  const findClick = () => {
    const query = new URLSearchParams(location.search);
    const params = {};
    query.forEach((value, name) => {
      if (value && matches(config.params, name)) {
        params[name] = params[name] || value;
      }
    });
    const kept = state.click || { params: {} };
    const fresh = Object.keys(params).some(name => params[name] !== kept.params[name])
      || Date.now() - kept.at > life;
    const named = query.get('pb_cid') || !fresh && (kept.click_id || cookie('pb_cid'));
    const id = matches('^[\\w.~-]{1,100}$', named) && named || mint();
    if (id !== kept.click_id) {
      state.pending && state.outbox.push(['click', kept]);
      state.click = {
        click_id: id,
        at: Date.now(),
        campaign: query.get('pb_campaign') || options.campaign,
        landing_url: location.href.slice(0, 2048),
        referrer: page.referrer.slice(0, 1024),
        params,
        cookies: {},
      };
      return true;
    }
  };

  // `href` with `name=id` in its query. A value that stands there is kept, and so is all else.
  const withParam = (href, name, id) => {
    const [, url, fragment] = /^([^#]*)([^]*)$/.exec(href);
    const there = new RegExp('(\\?(?:.*?&)?' + name.replace(/\W/g, '\\$&') + ')(?:=([^&]*))?(?=&|$)').exec(url);
    if (there && there[2]) {
      return href;
    }
    const filled = there
      ? url.replace(there[0], () => there[1] + '=' + id)
      : url + (/[?&]$/.test(url) ? '' : url.includes('?') ? '&' : '?') + name + '=' + id;
    return filled + fragment;
  };

  const groupOf = link => {
    const told = (link.dataset.trackingGroup || '').toLowerCase();
    return config.groups.find(group => told ? told === group.name : link.relList.contains(group.name))
      || config.groups.find(group =>
        group.hosts.some(host => ('.' + link.hostname).endsWith('.' + host))
        || link.host === location.host && group.paths.some(path => matches(path, link.pathname)));
  };

  // Puts the click id onto a link that leads to an offer, and says whether it is one.
  const decorate = link => {
    const href = link.getAttribute('href').trim();
    if (seen.get(link) === href) {
      return true;
    }
    const id = state.click.click_id;
    const group = /^http/.test(link.protocol) && groupOf(link);
    const tagged = href.includes('--CLICK-ID--')
      ? href.split('--CLICK-ID--').join(id)
      : group && withParam(href, group.param, id);
    if (tagged) {
      seen.set(link, tagged);
      tagged === href || link.setAttribute('href', tagged);
    }
    return tagged;
  };

  const scan = guarded(() => {
    scanning = 0;
    state && Array.from(page.links).forEach(guarded(decorate));
  });

  // The last resort: also links in a shadow tree, and those that came this very moment.
  const clicked = guarded(event => {
    const link = event.composedPath().find(node => node.href && node.relList);
    if (state && link && decorate(link) && event.button < 2) {
      sendEvent({ name: 'OutboundClick', link: link.href.slice(0, 2048) });
    }
  });

  let watch = () => {
    watch = scan;
    scan();
    new MutationObserver(() => scanning = scanning || setTimeout(scan, 50)).observe(page, {
      subtree: true,
      childList: true,
      attributeFilter: ['href', 'rel', 'data-tracking-group'],
    });
    addEventListener('click', clicked, true);
    addEventListener('auxclick', clicked, true);
    [1e3, 3e3, 9e3].forEach(pause => setTimeout(readLate, pause));
    addEventListener('pagehide', readLate);
  };

  const start = consent => {
    if (!state) {
      guarded(() => state = JSON.parse(localStorage.postbridge))();
      state = state && state.outbox ? state : { outbox: [] };
      flush();
    }
    let news = findClick();
    news = readCookies() || news;
    if (consent && JSON.stringify(consent) !== JSON.stringify(state.click.consent)) {
      news = state.click.consent = consent;
    }
    setCookie(state.click.click_id, life / 1e3);
    news && sendClick();
    watch();
  };

  // Without consent nothing is kept, sent or put onto a link. Where there was consent before, what was
  // kept is removed, and the relay is told that it is over.
  const stop = consent => {
    state && beacon('click', { click_id: state.click.click_id, at: Date.now(), consent });
    state = undefined;
    guarded(() => delete localStorage.postbridge)();
    setCookie('', 0);
  };

  const agreed = answer => answer === undefined ? answer : answer === true || answer === 'granted';

  // What the page may call. Before the script is there, it may leave calls in an array:
  //   (window.postbridge = window.postbridge || []).push(['consent', { ad_user_data: true }]);
  const api = {
    clickId: () => state && state.click.click_id,
    event: guarded((name, detail) => {
      const { value, currency, transaction_id } = detail || {};
      state && sendEvent({ name, value, currency, transaction_id });
    }),
    consent: guarded(choice => {
      const consent = {
        ad_user_data: agreed(choice.ad_user_data),
        ad_personalization: agreed(choice.ad_personalization),
      };
      consent.ad_user_data ? start(consent) : stop(consent);
    }),
    push: ([name, ...given]) => api[name](...given),
  };

  // A page that the browser draws ahead of time is no visit until it is shown.
  const begin = guarded(() => {
    if (page.prerendering) {
      return page.addEventListener('prerenderingchange', begin);
    }
    const early = window.postbridge;
    if (early && early.clickId) {
      return;
    }
    window.postbridge = api;
    options.consent === 'wait' || start();
    Array.isArray(early) && early.forEach(api.push);
  });
  begin();
})();
