"""Interest that the sample's schedules earn, worked by hand."""

import numpy as np

from lending_pipelines.sample.schedules import Schedule


def test_an_installment_after_a_moratorium_earns_from_the_last_due_date():
    """Due on days 30, 60, 90 and 120, the second and third with 0.00: the fourth earns its 9.00 from day 30 on."""
    schedule = Schedule(
        start=np.array([0]),
        count=np.array([4]),
        due=np.array([[30, 60, 90, 120]]),
        principal=np.array([[5000, 0, 0, 5000]]),
        interest=np.array([[300, 0, 0, 900]]),
    )
    earned = [int(schedule.earned(np.array([0]), np.array([day]))[0]) for day in (15, 30, 60, 75, 120)]
    # 3.00 × 15 ÷ 30; 3.00; and of 9.00 a third on day 60, a half on day 75.
    assert earned == [150, 300, 600, 750, 1200]
    assert schedule.period_start.tolist() == [[0, 30, 30, 30]]
