"""MID Servers as the instance knows them: enrolment, validation, selection."""
