-- manager_snapshots by hand, for DuckDB. It supports one level of reversals, the default conventions, and charge-offs up
-- to the principal outstanding only. Python replaces $first and $last.
with events as (
    select
        t.loan_id,
        greatest(t.effective_on, l.disbursed_on, $first - 365) as day,
        coalesce(root.type, t.type) as type,
        case when t.type = 'reversal' then -1 else 1 end as sign,
        t.principal, t.interest, t.fees
    from transactions t
    join loans l on l.loan_id = t.loan_id
    left join transactions root on t.type = 'reversal' and root.transaction_id = t.reverses_id
    where t.effective_on <= $last
),
changes as (
    select
        loan_id,
        day,
        sum(sign * case
            when type = 'disbursement' then principal
            when type = 'capitalization' then interest + fees
            when type = 'refund' then principal
            when type in ('repayment', 'charge_off', 'write_off', 'waiver') then -principal
            else 0 end) as principal,
        sum(sign * case type when 'repayment' then principal + interest when 'refund' then -principal - interest
            else 0 end) as collected,
        sum(sign * case type when 'repayment' then interest + fees when 'refund' then -interest - fees
            else 0 end) as income
    from events
    group by all
),
recent as (
    select loan_id, greatest(day, $first - 30) as day, sum(principal) as principal from changes group by all
),
owing as (
    select
        loan_id,
        day as owed_from,
        sum(principal) over (partition by loan_id order by day) as owed,
        coalesce(lead(day) over (partition by loan_id order by day), date '9999-12-31') as owed_until
    from recent
),
begun as (select loan_id, version, min(effective_on) as since from installments group by all),
versions as (
    select
        loan_id, version, since,
        coalesce(min(since) over (
            partition by loan_id order by version desc rows between unbounded preceding and 1 preceding
        ), date '9999-12-31') as until
    from begun
),
due as (
    select
        i.loan_id, greatest(i.due_on, v.since) as day, least(i.due_on + 30, v.until) as until,
        i.principal + i.interest as due
    from installments i
    join versions v using (loan_id, version)
    where v.since < v.until and greatest(i.due_on, v.since) < least(i.due_on + 30, v.until) and i.due_on > $first - 30 and i.due_on <= $last and i.principal + i.interest <> 0
        and exists (
            select 1 from owing o
            where o.loan_id = i.loan_id and o.owed > 0 and o.owed_from <= i.due_on and o.owed_until >= i.due_on
        )
),
steps as (
    select
        loan_id, day, 0 as due,
        case when day > $first - 30 then collected else 0 end as collected,
        0 as opening,
        case when day > $first - 365 then income else 0 end as income,
        principal as slope,
        principal * (1 - (day - $first)) as base
    from changes
    union all
    select loan_id, day + 30, 0, case when day > $first - 30 then -collected else 0 end, principal, 0, 0, 0
    from changes where day + 30 <= $last
    union all
    select
        loan_id, day + 365, 0, 0, 0, case when day > $first - 365 then -income else 0 end,
        -principal, principal * (day - $first + 364)
    from changes where day + 365 <= $last
    union all
    select loan_id, day, due, 0, 0, 0, 0, 0 from due where day <= $last
    union all
    select loan_id, until, -due, 0, 0, 0, 0, 0 from due where until <= $last
),
summed as (
    select
        loan_id, greatest(day, $first) as day, sum(due) as due, sum(collected) as collected, sum(opening) as opening,
        sum(income) as income, sum(slope) as slope, sum(base) as base
    from steps group by all
),
level as (
    select
        loan_id,
        day,
        coalesce(lead(day) over w, $last + 1) as until,
        sum(due) over w as due, sum(collected) over w as collected, sum(opening) over w as opening,
        sum(income) over w as income, sum(slope) over w as slope, sum(base) over w as base
    from summed
    window w as (partition by loan_id order by day)
),
positions as (
    select
        p.business_date, coalesce(p.officer_id, 'unassigned') as officer_id, p.currency, p.borrower_id, p.status,
        p.disbursed_on, p.days_past_due, p.principal_outstanding, p.principal_disbursed, p.total_collected,
        coalesce(v.due, 0) as due, coalesce(v.collected, 0) as collected, coalesce(v.opening, 0) as opening,
        coalesce(v.income, 0) as income, coalesce(v.slope * (p.business_date - $first) + v.base, 0) as balance_days
    from loan_positions p
    left join level v on v.loan_id = p.loan_id and v.day <= p.business_date and p.business_date < v.until
),
officers as (
    select
        business_date, officer_id, currency,
        count(*) as total_loans,
        count(*) filter (status = 'active') as active_loans,
        count(*) filter (status in ('active', 'charged_off')) as counted,
        count(*) filter (status = 'charged_off' or (status = 'active' and days_past_due >= 90)) as defaulted,
        sum(principal_disbursed) as disbursed,
        sum(principal_outstanding) as outstanding,
        sum(total_collected) as total_collected,
        coalesce(sum(principal_outstanding) filter (days_past_due >= 30), 0) as late_30,
        coalesce(sum(principal_outstanding) filter (days_past_due >= 60), 0) as late_60,
        coalesce(sum(principal_outstanding) filter (days_past_due >= 90), 0) as late_90,
        sum(due) as due, sum(collected) as collected, sum(opening) as opening, sum(income) as income,
        sum(balance_days) as balance_days
    from positions
    group by all
),
borrowers as (
    select
        business_date, officer_id, currency, borrower_id, bool_or(status = 'active') as active,
        bool_or(opening > 0) as was_active, min(disbursed_on) as since
    from positions
    group by all
),
leads as (select staff_id, team_leader_id from staff where team_leader_id <> staff_id),
managers as (
    select officer_id as manager_id, * from officers
    union all
    select team_leader_id, o.* from officers o join leads on staff_id = officer_id
),
totals as (
    select business_date, manager_id, currency, sum(columns(* exclude (business_date, manager_id, officer_id, currency)))
    from managers group by business_date, manager_id, currency
),
team as (
    select officer_id as manager_id, * from borrowers
    union all
    select team_leader_id, b.* from borrowers b join leads on staff_id = officer_id
),
clients as (
    select
        business_date, manager_id, currency, borrower_id, bool_or(active) as active,
        bool_or(was_active) as was_active, min(since) as since
    from team group by all
),
counted_clients as (
    select
        business_date, manager_id, currency, count(*) as total_clients,
        count(*) filter (active) as active_clients,
        count(*) filter (active and since > business_date - 30) as new_clients,
        count(*) filter (was_active and not active) as churned_clients
    from clients group by all
),
rates as (
    select
        *,
        100 * collected::double / nullif(due, 0) as collection_rate,
        100.0 * defaulted / nullif(counted, 0) as default_rate,
        100 * (outstanding - opening)::double / case when opening > 0 then opening end as growth_rate,
        36500 * income::double / case when balance_days > 0 then balance_days end as portfolio_yield
    from totals join counted_clients using (business_date, manager_id, currency)
)
select
    *,
    late_30::double / nullif(outstanding, 0) as par_30,
    late_60::double / nullif(outstanding, 0) as par_60,
    late_90::double / nullif(outstanding, 0) as par_90,
    0.4 * least(greatest(coalesce(collection_rate, 0), 0), 100)
        + 0.3 * least(greatest(coalesce(100 - 10 * default_rate, 0), 0), 100)
        + 0.2 * least(greatest(coalesce(growth_rate + 50, 50), 0), 100)
        + 0.1 * least(greatest(coalesce(5 * portfolio_yield, 0), 0), 100) as health_score
from rates
