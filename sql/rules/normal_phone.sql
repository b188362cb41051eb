-- normal_phone: a number as people write it, in E.164; null if it cannot be dialled.
-- p_region: where it is dialled as it stands (ISO 3166, two letters): for numbers without + and country code.
-- null = nowhere: the + is required.
-- Returns what libphonenumber parses, if that calls the number possible.
--   select pgdial.normal_phone('(415) 555-0100', 'US');
--
-- The same rule as Phone::parse_in in src/domain/phone.rs; a test compares both with libphonenumber.
-- Written so that Postgres can inline it: null in, null out, but not strict. Most numbers are already in normal
-- form, with or without separators, which the first digits show: that is far cheaper than a full parse.
create or replace function pgdial.normal_phone(p_text text, p_region text default null) returns text
language sql immutable parallel safe
as $$
    select case when pgdial.is_normal_phone(p_text) then p_text
                when pgdial.is_normal_phone(translate(p_text, ' .-()', '')) then translate(p_text, ' .-()', '')
                when p_text is not null then (pgdial.read_phone(p_text, p_region)).phone end
$$;

-- is_normal_phone: is it certainly parsed as it stands? false = perhaps.
create or replace function pgdial.is_normal_phone(p_text text) returns boolean
language sql immutable parallel safe
as $$
    select case when p_text ~ '^[+][1-9][0-9]{6,14}$' then
        (pgdial.phone_heads())[1 + substr(p_text, 2, 3)::int] & (1 << (length(p_text) - 8)) <> 0
        and (pgdial.phone_heads())[1 + substr(p_text, 2, 3)::int] & (512 << substr(p_text, 5, 1)::int) <> 0
    else false end
$$;

-- phone_problem: why normal_phone returns null, and what to write instead; null if it does not.
create or replace function pgdial.phone_problem(p_text text, p_region text default null) returns text
language sql immutable parallel safe
as $$ select (pgdial.read_phone(p_text, p_region)).problem $$;

-- needed_phone: the number for a verb that cannot do without one. p_what: its name in the error.
create or replace function pgdial.needed_phone(p_text text, p_region text, p_what text) returns text
language plpgsql immutable parallel safe
as $$
declare
    v_phone constant text := pgdial.normal_phone(p_text, p_region);
begin
    if v_phone is null then
        raise exception '% is %', p_what, coalesce(pgdial.region_problem(p_region), pgdial.phone_problem(p_text, p_region), 'missing')
            using errcode = 'invalid_parameter_value';
    end if;
    return v_phone;
end $$;

-- read_phone: the number, or what is wrong with it, as the end of a sentence ("to" is ...).
create or replace function pgdial.read_phone(p_text text, p_region text, out phone text, out problem text)
language plpgsql immutable parallel safe
as $$
declare
    v_home constant jsonb := pgdial.phone_plans() -> 'plans' -> upper(p_region collate "C");
    v_spelled record;
    v_found record;
    v_plan jsonb;
    v_bare text;
    v_has int;
begin
    if p_text is null then
        return;
    end if;
    v_spelled := pgdial.spelled_phone(p_text);
    problem := v_spelled.problem;
    if problem is not null then
        return;
    end if;
    v_found := pgdial.located_phone(v_spelled.digits, v_spelled.is_international, v_home);
    problem := v_found.problem;
    if problem is not null then
        return;
    end if;
    v_bare := pgdial.without_trunk_prefix(v_found.rest, v_found.plan);
    if pgdial.phone_length(v_bare, v_found.plan) = 'short' then
        v_bare := v_found.rest;
    end if;
    v_plan := pgdial.main_plan(v_found.plan ->> 'code');
    v_has := length(v_bare);
    if pgdial.phone_length(v_bare, v_plan) <> 'possible' then
        problem := format('not a number of +%s: %s digits follow the country code, not %s', v_plan ->> 'code', v_plan ->> 'said', v_has);
        return;
    end if;
    v_has := v_has + length(v_plan ->> 'code');
    if v_has not between 7 and 15 then
        problem := format('not an E.164 number: 7 to 15 digits with the country code, not %s', v_has);
        return;
    end if;
    phone := '+' || (v_plan ->> 'code') || v_bare;
    -- The result must parse as itself: +49 00 30 would become +49 0 30, which parses as another number.
    if phone <> p_text and not pgdial.is_normal_phone(phone) then
        select r.phone, r.problem into phone, problem from pgdial.read_phone(phone, null) r;
    end if;
end $$;

-- region_problem: null if the region is valid.
create or replace function pgdial.region_problem(p_region text) returns text
language sql immutable parallel safe
as $$
    select case when not (p_region ~ '^[A-Za-z]{2}$' and pgdial.phone_plans() -> 'plans' ? upper(p_region collate "C")) then
        'not a country: write the two letters that ISO 3166 has for it, as in US or GB' end
$$;

-- region_for: where the numbers of a request are dialled: the country of its own region, else its campaign's. plpgsql, so that
-- it is looked up only for those that need it, and planned once.
create or replace function pgdial.region_for(p_region text, p_campaign text) returns text
language plpgsql stable
as $$
begin
    return coalesce(split_part(p_region, '-', 1), (select g.region from pgdial.campaigns g where g.name = p_campaign));
end $$;

-- spelled_phone: the digits of a spelling, and whether it begins with +.
create or replace function pgdial.spelled_phone(p_text text, out digits text, out is_international boolean, out problem text)
language plpgsql immutable parallel safe
as $$
declare
    v_quotes constant text := '''"' || chr(8216) || chr(8217) || chr(8219) || chr(8220) || chr(8221);
    v_blanks constant text := ' ' || chr(9) || chr(10) || chr(12) || chr(13);
    v_text text;
    v_rest text;
begin
    if length(p_text) > 250 then
        problem := 'not a number: it has more than 250 characters';
        return;
    end if;
    v_text := pgdial.phone_in_ascii(p_text);
    -- The quotes by which spreadsheets mark a number as text ('+1..., ="+1..."), and the .0 of one stored as a
    -- number.
    v_text := btrim(regexp_replace(btrim(v_text, v_blanks), '^="', '"'), v_quotes || v_blanks);
    v_text := lower(case when v_text ~ '^[0-9]*[.]0$' then left(v_text, -2) else v_text end);
    -- RFC 3966.
    v_text := regexp_replace(v_text, '^tel:', '');
    if strpos(v_text, ';phone-context=') > 0 then
        v_rest := split_part(substr(v_text, strpos(v_text, ';phone-context=') + 15), ';', 1);
        v_text := substr(v_text, 1, strpos(v_text, ';phone-context=') - 1);
        if v_rest !~ '^[+]' then
            problem := 'a number of a private network: write + and the country code, as in +1415…';
            return;
        end if;
    end if;
    v_text := concat(v_rest, regexp_replace(v_text, ';isub=.*$', ''));
    if v_text ~ '^[+]*[0-9][0-9.,]*e[+]*[0-9]+$' then
        problem := 'a number that a spreadsheet has rounded: make the column text, and export it again';
        return;
    end if;
    v_text := translate(v_text, ' ()-./[]', '');
    digits := ltrim(v_text, '+');
    is_international := v_text <> digits;
    if digits !~ '^[0-9]+$' then
        v_rest := ltrim(digits, '0123456789');
        problem := case
            when v_text = '' then 'not a number: it is empty'
            when digits ~ '^[0-9]' and strpos(v_rest, '+') > 0 then 'more than one number: write one'
            when digits ~ '^[0-9]' and v_rest ~ '^([;,#~]*(extension|extn|ext|x)|[;,#~]+)[=:]*[0-9,]*#*$' then
                'a number with an extension, which cannot be dialled: leave the extension out'
            else 'not a number: digits may stand in it, + in front, spaces, dots, hyphens, slashes and parentheses' end;
    end if;
end $$;

-- phone_in_ascii: digits of any script as ASCII, every plus as +, every separator as a space.
create or replace function pgdial.phone_in_ascii(p_text text) returns text
language plpgsql immutable parallel safe
as $$
declare
    v_signs constant jsonb := pgdial.phone_plans();
    v_between constant text := translate(v_signs ->> 'between', ' ()-./[]', '');
begin
    if octet_length(p_text) = length(p_text) then
        return p_text;
    end if;
    return translate(p_text, concat(v_signs ->> 'pluses', v_between, v_signs ->> 'digits'),
                     repeat('+', length(v_signs ->> 'pluses')) || repeat(' ', length(v_between))
                         || repeat('0123456789', length(v_signs ->> 'digits') / 10));
end $$;

-- located_phone: the numbering plan of a number, and what follows the country code.
create or replace function pgdial.located_phone(
    p_digits text, p_is_international boolean, p_home jsonb, out plan jsonb, out rest text, out problem text
)
language plpgsql immutable parallel safe
as $$
declare
    v_code text;
    v_idd text;
begin
    rest := p_digits;
    if p_is_international then
        plan := pgdial.main_plan(rest);
        if plan is not null then
            rest := substr(rest, length(plan ->> 'code') + 1);
            return;
        end if;
    end if;
    if p_home is null then
        problem := case when p_is_international then 'not a number: no country code begins it, as in +1415…'
            else 'not an E.164 number: write + and the country code, as in +1415…, or say in which region it is dialled, as in US' end;
        return;
    end if;
    -- Also +00 44, which has two international prefixes. No country code begins with 0.
    v_idd := (regexp_match(rest, '^(' || (p_home ->> 'idd') || ')'))[1];
    if substr(rest, length(v_idd) + 1) !~ '^0' then
        rest := substr(rest, length(v_idd) + 1);
        plan := pgdial.main_plan(rest);
        rest := substr(rest, length(plan ->> 'code') + 1);
    else
        v_code := pgdial.with_code_alone(rest, p_home);
        plan := case when v_code is not null then pgdial.main_plan(p_home ->> 'code')
                     when not p_is_international then p_home end;
        rest := coalesce(v_code, rest);
    end if;
    if plan is null then
        problem := 'not a number: no country code begins it, as in +1415…';
    end if;
end $$;

-- with_code_alone: a number of the region with its country code, but without +: one that looks like a number
-- only without the code, or is too long with it. Returns what follows the code; null = it is not such a number.
create or replace function pgdial.with_code_alone(p_digits text, p_home jsonb) returns text
language plpgsql immutable parallel safe
as $$
declare
    v_form constant text := '^(?:' || (p_home ->> 'form') || ')$';
    v_national text;
begin
    if not starts_with(p_digits, p_home ->> 'code') then
        return null;
    end if;
    v_national := pgdial.without_trunk_prefix(substr(p_digits, length(p_home ->> 'code') + 1), p_home);
    return case when p_digits !~ v_form and v_national ~ v_form or pgdial.phone_length(p_digits, p_home) = 'long' then v_national end;
end $$;

-- main_plan: the plan of the country code that these digits begin with; null = there is no such code.
create or replace function pgdial.main_plan(p_digits text) returns jsonb
language sql immutable parallel safe
as $$
    select pgdial.phone_plans() -> 'plans' -> coalesce(
        pgdial.phone_plans() -> 'main' ->> substr(p_digits, 1, 1), pgdial.phone_plans() -> 'main' ->> substr(p_digits, 1, 2),
        pgdial.phone_plans() -> 'main' ->> substr(p_digits, 1, 3))
$$;

-- without_trunk_prefix: the number without the national trunk prefix; unchanged if it looked like a number with
-- the prefix, and does not without.
create or replace function pgdial.without_trunk_prefix(p_national text, p_plan jsonb) returns text
language plpgsql immutable parallel safe
as $$
declare
    v_form constant text := '^(?:' || (p_plan ->> 'form') || ')$';
    v_found constant text[] := regexp_match(p_national, '^(' || (p_plan ->> 'prefix') || ')');
    v_bare text;
begin
    if v_found is null then
        return p_national;
    end if;
    v_bare := coalesce((p_plan #>> '{put,0}') || v_found[1 + (p_plan #>> '{put,1}')::int], '') || substr(p_national, length(v_found[1]) + 1);
    return case when p_national ~ v_form and v_bare !~ v_form then p_national else v_bare end;
end $$;

-- phone_length: possible; short (also between two lengths, or dialable only within its area); or long.
create or replace function pgdial.phone_length(p_national text, p_plan jsonb) returns text
language sql immutable parallel safe
as $$
    select case when p_plan -> 'local' @> to_jsonb(length(p_national)) then 'short'
                when p_plan -> 'lengths' @> to_jsonb(length(p_national)) then 'possible'
                when length(p_national) > (p_plan -> 'lengths' ->> -1)::int then 'long'
                else 'short' end
$$;
