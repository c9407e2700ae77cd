use chaski_core::{
    BoxError, Extensions, Service, User, describe,
    http::{Message, Request, Response},
    service_fn, stack,
    test_util::{assert_describes_child, mock},
};
use chaski_proxy::{Credentials, ProxyAuthLayer, Users, UsersFile};

use crate::support::{lines, request, response, text};

const ANA: &str = "proxy-authorization: Basic YW5hOnNlY3JldA==";

fn layer() -> ProxyAuthLayer {
    ProxyAuthLayer::new(["ana:secret".parse::<Credentials>().unwrap()])
}

/// What the layer guards: it lets everybody in who gets to it.
fn inside() -> impl Service<Request, Output = Response, Error = BoxError> {
    service_fn(async |_: Request| Ok(response(204, &[])))
}

#[tokio::test]
async fn strangers_are_challenged_and_do_not_get_in() {
    let guarded = stack(layer(), inside());
    for fields in [&[][..], &["proxy-authorization: Basic YW5hOndyb25n"], &["proxy-authorization: junk"], &[ANA, ANA]] {
        let answer = guarded.serve(request("CONNECT", "a.example:443", fields)).await.unwrap();
        assert_eq!(answer.status(), 407);
        let expected = [
            "content-type: text/plain; charset=utf-8",
            "proxy-authenticate: Basic realm=\"chaski\", charset=\"UTF-8\"",
        ];
        assert_eq!(lines(answer.headers()), expected);
        assert_eq!(text(answer).await, "proxy authentication required\n");
    }
}

/// PRX-01: nothing below the layer sees the credentials; who they belong to is a fact of the request alone.
#[tokio::test]
async fn prx_01_known_users_get_in_without_their_credentials() {
    let (inner, mut handle) = mock::<Request, Response, BoxError>();
    let guarded = stack(layer(), inner);
    let connection = Extensions::new();
    let mut sent = request("GET", "http://a.example/", &[ANA, "authorization: Basic Zm9yOnRoZW0="]);
    sent.set_scope(connection.fork());
    let (answer, seen) = tokio::join!(guarded.serve(sent), async {
        let call = handle.next().await;
        call.responder.respond(Ok(response(204, &[])));
        call.input
    });
    assert_eq!(answer.unwrap().status(), 204);
    assert_eq!(lines(seen.headers()), ["authorization: Basic Zm9yOnRoZW0="]);
    assert_eq!(seen.fact(), Some(&User("ana".into())));
    assert_eq!(connection.get::<User>(), None);
}

#[tokio::test]
async fn without_users_nobody_gets_in() {
    let guarded = stack(ProxyAuthLayer::new([]), inside());
    let answer = guarded.serve(request("GET", "http://a.example/", &[ANA])).await.unwrap();
    assert_eq!(answer.status(), 407);
}

/// PRX-01: with a file too, nothing below the layer sees the credentials.
#[tokio::test]
async fn prx_01_users_of_a_file_get_in_beside_those_of_a_list() {
    let path = std::env::temp_dir().join(format!("chaski-proxy-users-{}", std::process::id()));
    // python3 -c 'import crypt; print(crypt.crypt("opensesame", "$2a$04$zyxwvutsrqponmlkjihgfe"))'
    std::fs::write(&path, "ben:$2a$04$zyxwvutsrqponmlkjihgfeOr7dgAtBcVeOZN5Y3mVBGSU0FZWExrq\n").unwrap();
    let file = UsersFile::load(&path);
    std::fs::remove_file(&path).unwrap();
    let users = Users::from(["ana:secret".parse::<Credentials>().unwrap()]).with_file(file.unwrap());
    let inside = service_fn(async |request: Request| {
        assert!(!request.headers().contains_key("proxy-authorization"));
        Ok::<_, BoxError>(response(200, &[&format!("user: {}", request.fact::<User>().unwrap().0)]))
    });
    let guarded = stack(ProxyAuthLayer::new(users), inside);
    for (credentials, user) in [
        (ANA, Some("ana")),
        ("proxy-authorization: Basic YmVuOm9wZW5zZXNhbWU=", Some("ben")), // ben:opensesame
        ("proxy-authorization: Basic YmVuOnNlY3JldA==", None),            // ben:secret
        ("proxy-authorization: Basic YW5hOm9wZW5zZXNhbWU=", None),        // ana:opensesame
        ("proxy-authorization: Basic ZGFuOm9wZW5zZXNhbWU=", None),        // dan:opensesame
    ] {
        let answer = guarded.serve(request("GET", "http://a.example/", &[credentials])).await.unwrap();
        assert_eq!(answer.status(), if user.is_some() { 200 } else { 407 }, "{credentials}");
        assert_eq!(answer.headers().get("user").map(|user| user.to_str().unwrap()), user, "{credentials}");
    }
}

#[test]
fn the_layer_describes_itself() {
    let (inner, _handle) = mock::<Request, Response, BoxError>();
    let description = describe::<Request, _>(&stack(layer(), inner));
    assert!(description.to_string().starts_with("ProxyAuth users=1  writes User\n"), "{description}");
    assert_describes_child(&description, "MockService");
}
