-- What is copied draws its places as well: COPY has no other way to it.
ALTER TABLE jan.messages ALTER COLUMN place SET DEFAULT nextval('jan.message_places');
