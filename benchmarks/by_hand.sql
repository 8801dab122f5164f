-- One day's positions as somebody at ease with DuckDB would write them: the same columns as the benchmark compares.
-- It knows no versions of a schedule but the last in force, reversals of one step, and no conventions but the default.
with
signed as (
    select
        t.loan_id,
        t.effective_on,
        coalesce(r.type, t.type) as type,
        case when t.type = 'reversal' then -1 else 1 end as sign,
        t.principal,
        t.interest,
        t.fees,
        t.amount
    from transactions t
    left join transactions r on t.type = 'reversal' and r.transaction_id = t.reverses_id
    where t.effective_on <= $day
),
money as (
    select
        loan_id,
        coalesce(sum(sign * principal) filter (type = 'disbursement'), 0) as disbursed,
        coalesce(sum(sign * (interest + fees)) filter (type = 'capitalization'), 0) as capitalized,
        coalesce(sum(case when type = 'refund' then -sign else sign end * principal)
            filter (type in ('repayment', 'refund')), 0) as principal_paid,
        coalesce(sum(case when type = 'refund' then -sign else sign end * interest)
            filter (type in ('repayment', 'refund')), 0) as interest_paid,
        coalesce(sum(case when type = 'refund' then -sign else sign end * fees)
            filter (type in ('repayment', 'refund')), 0) as fees_paid,
        coalesce(sum(sign * principal) filter (type in ('charge_off', 'write_off')), 0) as charged_off,
        coalesce(sum(sign) filter (type in ('charge_off', 'write_off')), 0) as charge_offs,
        coalesce(sum(sign * principal) filter (type = 'waiver'), 0) as forgiven,
        coalesce(sum(sign * amount) filter (type = 'recovery'), 0) as recovered,
        coalesce(sum(sign * interest) filter (type in ('waiver', 'capitalization')), 0) as interest_let_go,
        max(effective_on) filter (type = 'repayment' and sign = 1) as last_payment_on
    from signed
    group by loan_id
),
in_force as (
    select loan_id, max(version) as version
    from installments
    where effective_on <= $day and number = 1
    group by loan_id
),
schedule as (
    select
        i.loan_id,
        i.due_on,
        i.principal + i.interest as due,
        i.principal,
        i.interest,
        sum(i.principal + i.interest) over w as due_through,
        lag(i.due_on) over w as starts_on
    from installments i
    join in_force using (loan_id, version)
    window w as (partition by i.loan_id order by i.due_on, i.number)
),
owed as (
    select
        s.loan_id,
        coalesce(sum(s.due) filter (s.due_on <= $day), 0) as scheduled_due,
        coalesce(sum(s.principal) filter (s.due_on <= $day), 0) as principal_due,
        coalesce(sum(s.interest) filter (s.due_on <= $day), 0)
            + coalesce(sum(s.interest * date_diff('day', coalesce(s.starts_on, l.disbursed_on), $day)
                / date_diff('day', coalesce(s.starts_on, l.disbursed_on), s.due_on)
            ) filter (s.due_on > $day and coalesce(s.starts_on, l.disbursed_on) <= $day), 0) as interest_earned,
        min(s.due_on) filter (
            s.due_through > m.principal_paid + m.interest_paid + m.forgiven + m.interest_let_go
        ) as oldest_due_on,
        min(s.due_on) filter (s.due_on > $day) as next_due_on,
        arg_min(s.due, s.due_on) filter (s.due_on > $day) as next_due_amount
    from schedule s
    join loans l using (loan_id)
    join money m using (loan_id)
    group by s.loan_id
),
joined as (
    select
        l.*,
        p.program_id,
        m.* exclude (loan_id),
        o.* exclude (loan_id),
        m.disbursed + m.capitalized - m.principal_paid - m.charged_off - m.forgiven as principal_outstanding,
        m.principal_paid + m.interest_paid + m.forgiven + m.interest_let_go as settled,
        pm.portfolio_id,
        lo.investor_id,
        oa.officer_id as officer_on_day,
        r.after_rate
    from loans l
    join products p using (product_id)
    left join money m using (loan_id)
    left join owed o using (loan_id)
    left join portfolio_membership pm
        on pm.loan_id = l.loan_id and pm.assigned_on <= $day and coalesce(pm.removed_on, '9999-12-31') > $day
    left join loan_ownership lo
        on lo.loan_id = l.loan_id and lo.assigned_on <= $day and coalesce(lo.removed_on, '9999-12-31') > $day
    left join (
        select loan_id, arg_max(officer_id, assigned_on) as officer_id
        from officer_assignments where assigned_on <= $day group by loan_id
    ) oa on oa.loan_id = l.loan_id
    left join (
        select loan_id, arg_max(after_rate, effective_on) as after_rate
        from modifications where effective_on <= $day and after_rate <> before_rate group by loan_id
    ) r on r.loan_id = l.loan_id
    where l.disbursed_on <= $day
),
last_payments as (
    select s.loan_id, sum(s.amount) as last_payment_amount
    from signed s
    join money m on m.loan_id = s.loan_id and m.last_payment_on = s.effective_on
    where s.type = 'repayment' and s.sign = 1
    group by s.loan_id
),
statuses as (
    select
        *,
        case
            when coalesce(disbursed, 0) <= 0 then 'pending'
            when charge_offs > 0 then 'charged_off'
            when principal_outstanding <= 0 then 'closed'
            else 'active'
        end as status
    from joined
    left join last_payments using (loan_id)
),
aged as (
    select
        *,
        case when status = 'active' then greatest(coalesce(scheduled_due, 0) - settled, 0) else 0 end as past_due_amount,
        case when status = 'active' then greatest(date_diff('day', oldest_due_on, $day), 0) else 0 end as days_past_due
    from statuses
)
select
    $day as business_date,
    loan_id,
    portfolio_id,
    program_id,
    product_id,
    branch_id,
    coalesce(officer_on_day, officer_id) as officer_id,
    investor_id,
    borrower_id,
    currency,
    year(disbursed_on) || 'Q' || quarter(disbursed_on) as vintage,
    coalesce(after_rate, annual_rate) as annual_rate,
    status,
    disbursed_on,
    matures_on,
    disbursed as principal_disbursed,
    capitalized as principal_capitalized,
    principal_paid,
    interest_paid,
    fees_paid,
    charged_off as principal_charged_off,
    forgiven as principal_forgiven,
    principal_outstanding,
    recovered,
    round_even(coalesce(interest_earned, 0), 2)::decimal(18, 2) as interest_earned,
    case
        when status = 'active'
        then greatest(round_even(interest_earned, 2)::decimal(18, 2) - interest_paid - interest_let_go, 0)
        else 0
    end as interest_receivable,
    scheduled_due,
    settled,
    past_due_amount,
    least(past_due_amount, greatest(principal_due - principal_paid - forgiven, 0)) as past_due_principal,
    past_due_amount - least(past_due_amount, greatest(principal_due - principal_paid - forgiven, 0)) as past_due_interest,
    oldest_due_on,
    days_past_due,
    case
        when days_past_due >= 120 then '120+'
        when days_past_due >= 90 then '90-119'
        when days_past_due >= 60 then '60-89'
        when days_past_due >= 30 then '30-59'
        when days_past_due >= 1 then '1-29'
        else 'current'
    end as bucket,
    days_past_due >= 90 as non_accrual,
    principal_paid + interest_paid + fees_paid + recovered as total_collected,
    last_payment_on,
    last_payment_amount,
    next_due_on,
    next_due_amount
from aged
