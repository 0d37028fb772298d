"""suppression.api.words: the sentences of the public pages."""

from __future__ import annotations

from mailmaker.suppression.domain.language import Language

WORDS: dict[Language, dict[str, str]] = {
    "it": {
        "ask_title": "Annulla l'iscrizione",
        "ask_text": "Non vuoi più ricevere le e-mail di questa lista? Conferma con il pulsante.",
        "ask_list": "Non vuoi più ricevere le e-mail della lista «{name}»? Conferma con il pulsante.",
        "button": "Annulla l'iscrizione",
        "done_title": "Iscrizione annullata",
        "done_text": "Non riceverai più le e-mail di questa lista.",
        "recorded_at": "Richiesta registrata: {at}.",
        "applying": "La stiamo applicando agli invii in corso: è questione di secondi.",
        "enforced_at": "In vigore: {at}. Da allora nessun invio comincia.",
        "stopped_one": "1 messaggio in partenza è stato fermato.",
        "stopped_many": "{count} messaggi in partenza sono stati fermati.",
        "in_flight_one": "1 messaggio stava già partendo e può ancora arrivare.",
        "in_flight_many": "{count} messaggi stavano già partendo e possono ancora arrivare.",
        "received_title": "Richiesta ricevuta",
        "received_text": "La tua richiesta è al sicuro e sarà applicata appena possibile. Non serve altro.",
        "unknown_title": "Pagina non trovata",
        "unknown_text": "Questo indirizzo non corrisponde a nulla. Controlla di averlo copiato per intero.",
        "later_title": "Riprova tra poco",
        "later_text": "In questo momento non possiamo registrare la richiesta. Riprova tra qualche minuto.",
    },
    "en": {
        "ask_title": "Unsubscribe",
        "ask_text": "Do you no longer want the mail of this list? Confirm with the button.",
        "ask_list": "Do you no longer want the mail of the list “{name}”? Confirm with the button.",
        "button": "Unsubscribe",
        "done_title": "Unsubscribed",
        "done_text": "You will no longer receive the mail of this list.",
        "recorded_at": "Your request was recorded at {at}.",
        "applying": "It is being applied to the mail now leaving: a matter of seconds.",
        "enforced_at": "In force since {at}. No sending begins after that.",
        "stopped_one": "1 message about to leave was stopped.",
        "stopped_many": "{count} messages about to leave were stopped.",
        "in_flight_one": "1 message was already leaving and may still arrive.",
        "in_flight_many": "{count} messages were already leaving and may still arrive.",
        "received_title": "Request received",
        "received_text": "Your request is safe with us and will be applied as soon as possible. Nothing else is needed.",
        "unknown_title": "Page not found",
        "unknown_text": "There is nothing at this address. Check that you copied all of it.",
        "later_title": "Please try again shortly",
        "later_text": "We cannot record your request at this moment. Please try again in a few minutes.",
    },
}
