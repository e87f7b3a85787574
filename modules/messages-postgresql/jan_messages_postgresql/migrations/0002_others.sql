-- What a message has beside the fields of the API: it came with messages that were copied from elsewhere.
ALTER TABLE jan.messages ADD COLUMN others json;
