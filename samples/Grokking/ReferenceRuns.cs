namespace Grokking;

// First epochs of the reference: the same experiment in PyTorch 2.13 with pytorch-cpr 0.3.1, float32 on a CPU, evaluated every tenth epoch.
internal static class ReferenceRuns
{
    public static readonly IReadOnlyList<RunSummary> All =
    [
        Row("adamw", 1, 70, null, null, 1000, 0.016), Row("adamw", 2, 70, null, null, 1000, 0.099),
        Row("adamw-0.3", 1, 80, null, null, 1000, 0.031), Row("adamw-0.3", 2, 80, null, null, 1000, 0.109),
        Row("adamw-1.0", 1, 110, null, null, 1000, 0.284), Row("adamw-1.0", 2, 120, 890, 920, 930, 0.998),
        Row("adam-rescale", 1, null, null, null, 1000, 0.766), Row("adam-rescale", 2, null, 980, null, 1000, 0.890),
        Row("adamcpr-l2", 1, 250, 260, 290, 320, 1.000), Row("adamcpr-l2", 2, 230, 250, 260, 270, 0.998),
        Row("adamcpr-std", 1, null, null, null, 1000, 0.479), Row("adamcpr-std", 2, 390, 370, null, 1000, 0.880),
    ];

    // Steps a second of the same reference on two threads of an idle 2-core machine: 16.1 s for 1000 steps.
    private const double StepsPerSecond = 1000 / 16.1;

    private static RunSummary Row(string name, long seed, int? train99, int? validation95, int? validation99, int end, double accuracy) =>
        new(name, seed, new Milestones(train99, validation95, validation99, end, accuracy, end < 1000), StepsPerSecond);
}
