//! Sends a request with the token of its account, and once more with a new one where the platform refuses that.

use crate::clock::{Clock, stopwatch};
use crate::dispatch::answer;
use crate::dispatch::context::SendSetup;
use crate::dispatch::credentials::AccessToken;
use crate::domain::attempt::{AttemptPurpose, EarlierRequest};
use crate::domain::delivery::{OutgoingRequest, Reply, ReplyVerdict};

const AUTHORIZATION: &str = "authorization";

/// How a request ended.
pub struct SignedReply {
    pub reply: Reply,
    /// What it means whatever the reply says: the platform refused the token, and there is no other.
    pub verdict: Option<ReplyVerdict>,
}

/// Adds the account's token to a request, where its account signs in.
///
/// # Errors
/// There is none: what that means to every event of the request, which does not leave.
pub async fn sign(
    to: &SendSetup,
    request: &mut OutgoingRequest,
    clock: &Clock,
) -> Result<Option<AccessToken>, ReplyVerdict> {
    let Some(account) = &to.account else { return Ok(None) };
    let token = account.token(&to.client, clock, None).await?;
    carry(request, &token);
    Ok(Some(token))
}

/// Sends it, for this purpose and with so many events. A request that is refused with its token is added to `before`.
pub async fn send(
    to: &SendSetup,
    (request, carried): (&mut OutgoingRequest, (AttemptPurpose, usize)),
    token: Option<AccessToken>,
    (clock, before): (&Clock, &mut Vec<EarlierRequest>),
) -> SignedReply {
    let (_, events) = carried;
    let (at, began) = (clock.now(), stopwatch());
    let reply = to.client.send_with(request, events).await;
    let (Some(account), Some(token), Reply::Answer(answer)) = (&to.account, token, &reply) else {
        return SignedReply { reply, verdict: None };
    };
    let took = began.elapsed();
    if !answer::refuses_token(&to.destination, carried, &reply) {
        return SignedReply { reply, verdict: None };
    }
    match account.token(&to.client, clock, Some(&token)).await {
        Ok(new) => {
            let shown = match answer::without_secrets(request, &reply) {
                Some(Reply::Answer(masked)) => masked,
                _ => answer.clone(),
            };
            before.push(EarlierRequest::of((at, took), events, Some(shown)));
            carry(request, &new);
            SignedReply { reply: to.client.send_with(request, events).await, verdict: None }
        }
        Err(verdict) => SignedReply { reply, verdict: Some(verdict) },
    }
}

/// The token takes the place of the one before.
fn carry(request: &mut OutgoingRequest, token: &AccessToken) {
    request.headers.retain(|(name, _)| name != AUTHORIZATION);
    request.headers.push((AUTHORIZATION.to_owned(), format!("Bearer {}", token.text)));
    request.secrets.push(token.text.to_string());
}
