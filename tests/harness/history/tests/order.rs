//! What order is promised, and of what none is.

use super::*;

/// Alice sends message `mid` to bob by a further session, which hears that it is stored.
fn send_by_another_session(history: &History, mid: u64) {
    let (connection, qos, lane, counter) = (4, Qos::AtLeastOnce, Lane::Normal, Some(mid));
    history.record(What::Opened { party: party("alice~2"), connection, resumed: false, reliable: true });
    let (attempt, name, to) = (Attempt { connection, id: 1 }, name(mid), To::Agent("bob".into()));
    history.record(What::Sent { attempt, name, to, qos, lane, counter });
    history.record(What::Told { attempt, outcome: Outcome::Accepted });
}

#[test]
fn another_order_is_found() {
    let history = begin();
    for mid in 1..=2 {
        send(&history, mid);
        tell(&history, mid, Outcome::Accepted);
    }
    present(&history, 2, 1);
    present(&history, 1, 2);
    assert_found(&history, Rest::Settled, &[Breach::Reordered]);
}

#[test]
fn what_is_sent_again_may_take_its_later_place_unless_it_is_counted() {
    for counted in [false, true] {
        let history = begin();
        for (id, mid) in [(1, 1), (2, 2), (3, 1)] {
            send_as(&history, id, mid, Qos::AtLeastOnce, counted.then_some(mid));
        }
        for (id, outcome) in [(1, refused("unavailable")), (2, Outcome::Accepted), (3, Outcome::Accepted)] {
            tell(&history, id, outcome);
        }
        present(&history, 2, 1);
        present(&history, 1, 2);
        let breaches: &[Breach] = if counted { &[Breach::Reordered] } else { &[] };
        assert_found(&history, Rest::Settled, breaches);
    }
}

#[test]
fn an_attempt_that_was_refused_has_no_place_in_the_order_of_its_session() {
    let history = begin();
    for (id, outcome) in [(1, Outcome::Unknown), (2, refused("no_recipient"))] {
        send_as(&history, id, id, Qos::AtLeastOnce, Some(id));
        tell(&history, id, outcome);
    }
    send_by_another_session(&history, 2);
    present(&history, 2, 1);
    present(&history, 1, 2);
    assert_found(&history, Rest::Settled, &[]);
}

#[test]
fn what_two_sessions_sent_has_no_sure_place_in_the_order_of_either() {
    for by_two in [false, true] {
        let history = begin();
        for id in 1..=2 {
            send_as(&history, id, id, Qos::AtLeastOnce, Some(id));
            tell(&history, id, Outcome::Unknown);
        }
        if by_two {
            send_by_another_session(&history, 2);
        }
        present(&history, 2, 1);
        present(&history, 1, 2);
        let breaches: &[Breach] = if by_two { &[] } else { &[Breach::Reordered] };
        assert_found(&history, Rest::Unsettled, breaches);
    }
}

#[test]
fn the_order_of_a_topic_without_positions_is_that_of_a_connection() {
    for reconnects in [false, true] {
        let (history, topic) = (begin(), || To::Topic("chat".into()));
        let (qos, lane, counter) = (Qos::AtMostOnce, Lane::Normal, None);
        history.record(What::Subscribed { party: party(BOB), topic: "chat".into(), qos });
        for mid in 1..=2 {
            let (attempt, name, to) = (attempt(mid), name(mid), topic());
            history.record(What::Sent { attempt, name, to, qos, lane, counter });
            tell(&history, mid, Outcome::Accepted);
        }
        for mid in [2, 1] {
            if mid == 1 && reconnects {
                let (party, connection) = (party(BOB), 3);
                history.record(What::Opened { party, connection, resumed: true, reliable: true });
            }
            history.record(What::Presented {
                party: party(BOB),
                name: name(mid),
                at: None,
                redelivered: false,
            });
        }
        let breaches: &[Breach] = if reconnects { &[] } else { &[Breach::Reordered] };
        assert_found(&history, Rest::Unsettled, breaches);
    }
}
