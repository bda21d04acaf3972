// The tag of a landing page: it records the click, hands its id on to offer links, and reports events.
//
//   <script async src="https://t.example.com/tag.js" data-campaign="8599"></script>
//
// It is served without comments and indentation, with CONFIGURATION in place:
//   endpoint  where the relay takes clicks and events
//   params    a pattern of the landing parameters that the installed destinations need
//   direct    a pattern of the parameters of a direct link: affiliate, creative and sub ids
//   cookies   a pattern of the cookies that they need
//   groups    what AutoTag knows: { name, param, query, hosts, paths }, one for each kind of network
//
// It never throws into the page, waits for nothing, and runs wherever ES2017 does.
(() => {
  const config = CONFIGURATION;
  const page = document;
  const json = JSON.stringify;
  // After 30 days an old click earns nothing more: the next page makes a new one.
  const life = 30 * 864e5;
  const options = (page.currentScript || page.documentElement).dataset;
  const waits = options.consent === 'wait';
  // Whether the visitor agrees, as far as this page knows.
  let active;
  // The click of this page. It outlives a withdrawal in memory alone, so that a yes on the same page goes
  // on with it.
  let click;
  // What the browser keeps for all pages: { click, outbox, refused }. In the outbox are the messages that
  // the relay has not confirmed, oldest first.
  let state = {};
  // Whether the last write was kept. Where nothing can be, `state` lives as long as the page.
  let durable = true;
  // When the visitor was last heard.
  let heard = 0;
  let queue = Promise.resolve();
  // The href that each link of an offer was given, and the one it had before.
  const seen = new WeakMap();
  let scanning;
  let retrying;

  const guarded = work => (...given) => {
    try {
      return work(...given);
    } catch (error) {
      // A tag that fails must not take the page with it.
    }
  };

  const matches = (pattern, text) => new RegExp(pattern, 'i').test(text);

  // A longer value is left out, as the relay does: half an id is none.
  const isKept = value => value && value.length < 2049;

  // A long address ends between two parameters.
  const cut = address => address[2048] ? address.slice(0, 2048).replace(/[?&#][^?&#]*$/, '') : address;

  const validId = id => /^[\w.~-]{1,100}$/.test(id) && id;

  // The first value of each name, as a network reads its links: whatever the name's case, behind a second
  // `?` but for that of a URL as a value, and with the `amp;` of a URL that was copied from a page's source.
  const readQuery = search => {
    const found = {};
    const query = search.replace(/&amp;/g, '&').replace(/[^&?][^&]*/g, pair =>
      /^[^?]*:\/\//.test(pair) ? pair : pair.replace(/\?(?=[\w.-]+=)/g, '&'));
    new URLSearchParams(query).forEach((value, name) =>
      found[name = name.toLowerCase()] = found[name] || value);
    return found;
  };

  const cookie = () => (('; ' + page.cookie).split('; pb_cid=')[1] || '').split(';')[0];

  // On the widest domain that the browser allows, so that the relay's own host, a neighbour, sees it.
  const setCookie = (value, seconds) => {
    const labels = location.hostname.split('.');
    for (let from = labels.length; from-- > -1 && cookie() !== value;) {
      page.cookie = 'pb_cid=' + value + ';path=/;samesite=lax;max-age=' + seconds
        + (from < 0 ? '' : ';domain=' + labels.slice(from).join('.'))
        + (location.protocol === 'https:' ? ';secure' : '');
    }
  };

  // Reads what is kept, which another tab may have changed, and keeps it as `change` leaves it.
  const update = change => {
    durable && guarded(() => state = JSON.parse(localStorage.postbridge || '{}'))();
    state.outbox = state.outbox || [];
    change && change();
    durable = guarded(() => {
      state.click || state.refused || state.outbox[0]
        ? localStorage.postbridge = json(state)
        : delete localStorage.postbridge;
      return true;
    })();
  };

  // As the relay mints it: 9 digits of time and 20 of chance, base 36.
  const mint = () => {
    let id = Date.now().toString(36).padStart(9, 0);
    crypto.getRandomValues(new Uint32Array(20)).forEach(number => id += (number % 36).toString(36));
    return id;
  };

  // Two answers of one visitor never have the same time: the later one counts.
  const hear = () => heard = Math.max(Date.now(), heard + 1);

  // A visitor's answer alone, which is no event.
  const isAnswer = message => message.consent && !message.landing_url;

  // `now` next to a message's own `at`: the relay reads how long ago it was, whatever this clock says.
  const body = message => json(Object.assign({ now: Date.now() }, message));

  const url = message => config.endpoint + (message.landing_url ? 'click' : 'event');

  // A beacon outlives the page but reports nothing of what became of it.
  const beacon = guarded(message =>
    navigator.onLine !== false && navigator.sendBeacon(url(message), body(message)));

  const without = message => state.outbox.filter(other => json(other) !== json(message));

  // Sends what waits, in order, until the relay answers for it; it knows a repeat. What it refuses is
  // dropped, but for the visitor's answer.
  const deliver = async waiting => {
    for (const message of waiting) {
      update();
      if ((active || isAnswer(message)) && without(message).length < state.outbox.length) {
        const answer = await fetch(url(message), {
          method: 'POST', body: body(message), keepalive: true, credentials: 'include',
        });
        if (answer.status > 428) {
          throw 0;
        }
        if (answer.ok || !isAnswer(message)) {
          update(() => state.outbox = without(message));
        }
      }
    }
  };

  const flush = () => {
    const waiting = state.outbox;
    queue = queue.then(() => deliver(waiting)).catch(() => {
      clearTimeout(retrying);
      retrying = setTimeout(flush, 3e4);
    });
  };

  const sendClick = () => {
    update(() => {
      state.click = click;
      state.outbox = state.outbox.filter(other => !other.landing_url || other.click_id !== click.click_id);
      state.outbox.push(click);
    });
    // Behind an answer that the relay has not yet heard it has to wait.
    state.outbox.length < 2 && beacon(click) || flush();
  };

  const sendEvent = message => {
    message = Object.assign({ click_id: click.click_id, at: Date.now() }, message);
    if (!beacon(message)) {
      update(() => state.outbox.length < 20 && state.outbox.push(message));
      flush();
    }
  };

  // Cookies that other scripts set after this one ran.
  const readCookies = () => {
    const kept = click.cookies;
    let news;
    page.cookie.replace(/([^=; ]+)=([^;]+)/g, (pair, name, value) => {
      if (isKept(value) && matches(config.cookies, name) && !kept[name]) {
        news = kept[name] = value;
      }
    });
    return news;
  };

  const readLate = guarded(() => active && readCookies() && sendClick());

  // The click of this page: the one that its URL names, as that of an offer may (`?pb_cid={click_id}`);
  // the one that is kept; or a new one where the URL brings other landing parameters than the last.
  const findClick = () => {
    const query = readQuery(location.search);
    const params = {};
    for (const name in query) {
      const value = query[name];
      if (isKept(value) && (matches(config.params, name) || query.a && query.c && matches(config.direct, name))) {
        params[name] = value;
      }
    }
    const kept = state.click || click || { params: {} };
    const fresh = Object.keys(params).some(name => params[name] !== kept.params[name])
      || Date.now() - kept.at > life;
    const id = validId(query.pb_cid || !fresh && (kept.click_id || cookie())) || mint();
    click = kept;
    if (id !== kept.click_id) {
      click = {
        click_id: id,
        at: Date.now(),
        campaign: query.pb_campaign || options.campaign,
        landing_url: cut(location.href),
        referrer: cut(page.referrer),
        params,
        cookies: {},
        consent: kept.consent,
        consent_at: kept.consent_at,
      };
      return true;
    }
  };

  // `href` with `name=id` in its query. A value that is there is kept, and so is all else.
  const withParam = (href, name, id) => {
    const [, url, fragment] = /^([^#]*)([^]*)$/.exec(href);
    const there = new RegExp('(\\?(?:.*?&)?' + name.replace(/\W/g, '\\$&') + ')(?:=([^&]*))?(?=&|$)', 'i').exec(url);
    if (there && there[2]) {
      return href;
    }
    const filled = there
      ? url.replace(there[0], () => there[1] + '=' + id)
      : url + (/[?&]$/.test(url) ? '' : url.includes('?') ? '&' : '?') + name + '=' + id;
    return filled + fragment;
  };

  const groupOf = link => {
    const named = (link.dataset.trackingGroup || '').toLowerCase();
    const query = readQuery(link.search);
    return config.groups.find(group => named ? named === group.name : link.relList.contains(group.name))
      || config.groups.find(group =>
        group.hosts.some(host => ('.' + link.hostname).endsWith('.' + host))
        || (link.hostname === location.hostname
          ? group.paths.some(path => matches(path, link.pathname))
          : group.query[0] && group.query.every(name => /^\d+$/.test(query[name]))));
  };

  // Puts the click id onto a link that leads to an offer, and returns whether it is one.
  const decorate = link => {
    const href = link.getAttribute('href').trim();
    if ((seen.get(link) || [])[0] === href) {
      return true;
    }
    const id = click.click_id;
    const group = /^http/.test(link.protocol) && groupOf(link);
    const tagged = href.includes('--CLICK-ID--')
      ? href.split('--CLICK-ID--').join(id)
      : group && withParam(href, group.param, id);
    if (tagged) {
      seen.set(link, [tagged, href]);
      tagged === href || link.setAttribute('href', tagged);
    }
    return tagged;
  };

  const restore = link => {
    const [tagged, href] = seen.get(link) || [];
    seen.delete(link);
    tagged === link.getAttribute('href') && link.setAttribute('href', href);
  };

  const eachLink = work => Array.from(page.links).forEach(guarded(work));

  const scan = guarded(() => {
    scanning = 0;
    active && eachLink(decorate);
  });

  // The last resort: also links in a shadow tree, and those that were added this very moment.
  const clicked = guarded(event => {
    const link = event.composedPath().find(node => node.href && node.relList);
    if (active && link && decorate(link) && event.button < 2) {
      sendEvent({ name: 'OutboundClick', link: cut(link.href) });
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
    active = true;
    update(() => state.refused = undefined);
    flush();
    let news = findClick();
    news = readCookies() || news;
    if (consent && json(consent) !== json(click.consent)) {
      news = click.consent = consent;
      click.consent_at = hear();
    }
    setCookie(click.click_id, life / 1e3);
    news && sendClick();
    watch();
  };

  // The next yes is news to the relay, whichever page took the last one back.
  const halt = () => {
    active = undefined;
    if (click) {
      click.consent = undefined;
    }
    eachLink(restore);
  };

  // Without consent nothing is kept, sent or put onto a link. Of a visitor who was recorded before, here or
  // by the link that led to the page, the refusal is kept until the relay has it; a page that does not wait
  // for consent keeps that there was one.
  const stop = consent => {
    const ids = new Set([readQuery(location.search).pb_cid, active && click.click_id, cookie()]);
    const consent_at = hear();
    halt();
    update(() => {
      ids.add(state.click && state.click.click_id);
      state.outbox = state.outbox.filter(isAnswer);
      ids.forEach(id => validId(id) && state.outbox.push({ click_id: id, consent, consent_at }));
      state.click = undefined;
      state.refused = !waits;
    });
    setCookie('', 0);
    flush();
  };

  // In another tab, or on a page that this one was left for, the consent may have been withdrawn. A page
  // that merely empties its storage leaves the cookie.
  const look = guarded(() => {
    update();
    active && !state.click && !cookie() && halt();
  });

  const agreed = (answer, before) => answer === undefined ? before : answer === true || answer === 'granted';

  // What the page may call. Before the script is there, it may leave calls in an array:
  //   (window.postbridge = window.postbridge || []).push(['consent', { ad_user_data: true }]);
  const api = {
    clickId: () => active && click.click_id,
    event: guarded((name, detail) => {
      const { value, currency, transaction_id } = detail || {};
      active && name && sendEvent({ name, value, currency, transaction_id });
    }),
    consent: guarded(choice => {
      const before = active && click.consent || {};
      const consent = {
        ad_user_data: agreed(choice.ad_user_data, before.ad_user_data),
        ad_personalization: agreed(choice.ad_personalization, before.ad_personalization),
      };
      if (consent.ad_user_data === false) {
        stop(consent);
      } else if (consent.ad_user_data || active) {
        start(consent);
      }
    }),
    push: guarded(([name, ...given]) => api[name](...given)),
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
    update();
    flush();
    const calls = Array.isArray(early) ? early : [];
    // An answer that is older than the script goes first: where it is a no, nothing is ever recorded.
    const answers = calls.filter(guarded(call => call[0] === 'consent'));
    answers.forEach(api.push);
    if (!waits && !state.refused && !active) {
      start();
      // An answer about personalization alone is about the click that is there now.
      answers.forEach(api.push);
    }
    calls.forEach(call => answers.includes(call) || api.push(call));
    addEventListener('online', flush);
    addEventListener('storage', look);
    addEventListener('pageshow', look);
  });
  begin();
})();
