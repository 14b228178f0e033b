using OrtCpr.CustomOps;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Tests.Kernels;

namespace OrtCpr.Tests.Optimizers;

// The function body is the specification, the kernel the fast way: one optimizer graph over parameters of all lengths, run both ways.
[TestClass]
public sealed class BodyAndKernelTests
{
    // Both sides round in float32; several steps add up. Relative to the largest element, as for the PyTorch trajectories.
    private const double Relative = 1e-5, OfLargest = 4e-6;
    private const int Steps = 5;

    private static readonly int[] Lengths = [.. Enumerable.Range(0, 68), 1000, 1_000_003];

    private static readonly int[] FewLengths = [.. Enumerable.Range(0, 18), 1025, 40_001];

    private static float[] Values(int length, int seed, double centre, double spread)
    {
        var random = new Random((length * 31) + seed);
        return [.. Enumerable.Range(0, length).Select(_ => (float)(centre + (spread * ((random.NextDouble() * 2) - 1))))];
    }

    internal static Dictionary<string, double[]> Run(UpdateRule rule, DriverOptions options, double centre, double spread,
        bool constrained = true, int[]? lengths = null, OptimizerOptions? optimizer = null)
    {
        ParameterSpec[] parameters = [.. (lengths ?? Lengths).Select(n => new ParameterSpec($"p{n}", ElementType.Float, [n], constrained))];
        Dictionary<string, TensorData> initial =
            parameters.ToDictionary(p => p.Name, p =>
            TensorData.From<float>(Values((int)p.ElementCount, 1, centre, spread), p.ElementCount));
        using var driver = new OptimizerDriver(TrainingPlan.ForOptimizer(parameters,
            (optimizer ?? new OptimizerOptions { NonFiniteGuard = false }) with { Groups = [rule] }), initial, options);
        for (int t = 0; t < Steps; t++)
        {
            foreach (ParameterSpec p in parameters)
            {
                driver.SetGradient(p.Name, TensorData.From<float>(Values((int)p.ElementCount, 10 + t, 0, 0.1), p.ElementCount));
            }
            driver.Step();
        }
        Dictionary<string, double[]> results = parameters.ToDictionary(p => p.Name, p => driver.Get(p.Name).ToDoubles());
        foreach (TensorSlot state in driver.Plan.Slots.Where(s => s.Role is TensorRole.State or TensorRole.Rows))
        {
            results[state.Key] = driver.Get(state.Key).ToDoubles();
        }
        return results;
    }

    internal static void Agree(Dictionary<string, double[]> kernel, Dictionary<string, double[]> body)
    {
        foreach ((string name, double[] expected) in body)
        {
            double[] actual = kernel[name];
            double largest = expected.Where(v => !double.IsNaN(v)).Select(Math.Abs).DefaultIfEmpty(0).Max();
            // λ adds up the rounding of R − κ, times μ, over the steps.
            double extra = name == "cpr.lambda"
                ? 1e-5 * body["cpr.kappa"].Where(v => !double.IsNaN(v)).Select(Math.Abs).DefaultIfEmpty(0).Max() : 0;
            for (int i = 0; i < expected.Length; i++)
            {
                if (double.IsNaN(expected[i]) && double.IsNaN(actual[i])) continue;
                double allowed = (OfLargest * largest) + (Relative * Math.Abs(expected[i])) + extra;
                if (!(Math.Abs(expected[i] - actual[i]) <= allowed))
                {
                    Assert.Fail($"{name}[{i}]: the body gives {expected[i]}, the kernel {actual[i]}; allowed {allowed}");
                }
            }
        }
    }

    private static UpdateRule Cpr(Regularizer r, Bound? bound = null, bool amsGrad = false, double decay = 0) => new()
    {
        LearningRate = 1e-2,
        Links =
        [
            new ScaleByAdam { AmsGrad = amsGrad },
            .. decay == 0 ? Array.Empty<UpdateLink>() : [new AddDecayedWeights(decay)],
            new ConstrainNorm
            {
                Regularizer = r,
                Bound = bound ?? Bound.TimesInitial(0.9),
            },
        ],
    };

    [TestMethod]
    [DataRow(Regularizer.L2)]
    [DataRow(Regularizer.L1)]
    [DataRow(Regularizer.Std)]
    [DataRow(Regularizer.Huber)]
    public void KernelEqualsBody_AtEveryLength(Regularizer r)
    {
        UpdateRule rule = Cpr(r);
        Dictionary<string, double[]> body = Run(rule, new DriverOptions { Threads = 2, Kernels = false }, 0, 0.5),
            one = Run(rule, new DriverOptions { Threads = 1 }, 0, 0.5), two = Run(rule, new DriverOptions { Threads = 2 }, 0, 0.5);
        Agree(one, body);
        foreach ((string name, double[] values) in one) CollectionAssert.AreEqual(values, two[name], $"{name} on one and two threads");
    }

    [TestMethod]
    public void KernelEqualsBody_ForStdAroundTen() =>
        Agree(Run(Cpr(Regularizer.Std), new DriverOptions { Threads = 2 }, 10, 0.17),
            Run(Cpr(Regularizer.Std), new DriverOptions { Threads = 2, Kernels = false }, 10, 0.17));

    [TestMethod]
    [DataRow("uniform", 0.05, false, 0.0)]
    [DataRow("warm_start", 2.0, true, 0.0)]
    [DataRow("inflection_point", null, false, 0.1)]
    public void KernelEqualsBody_ForEveryBound(string method, double? parameter, bool amsGrad, double decay)
    {
        UpdateRule rule = Cpr(Regularizer.L2, Bound.Of(method, parameter, every: 1), amsGrad, decay);
        Agree(Run(rule, new DriverOptions { Threads = 2 }, 0, 0.5), Run(rule, new DriverOptions { Threads = 2, Kernels = false }, 0, 0.5));
    }

    // Every update operator that has a kernel, over parameters of which some are longer than a wave of the joined node.
    [TestMethod]
    public void KernelEqualsBody_ForEveryChainOfLinksWithAKernel()
    {
        foreach (UpdateVariant variant in UpdateVariant.All.Where(v => v.Method is null or BoundKind.WarmStart))
        {
            UpdateLink[] links = [.. variant.Links.Select(l => l is ConstrainNorm c ? c with { Bound = Bound.AfterSteps(2) } : l)];
            var rule = new UpdateRule { LearningRate = 1e-2, Links = [.. links] };
            // Lion's direction is a sign: where body and kernel round to different sides of 0, whole steps differ.
            if (variant.Base.IsLion) continue;
            Agree(Run(rule, new DriverOptions { Threads = 2 }, 0, 0.5, lengths: FewLengths),
                Run(rule, new DriverOptions { Threads = 2, Kernels = false }, 0, 0.5, lengths: FewLengths));
        }
    }

    // In float64 the body has no kernel; its steps are those of the formula.
    [TestMethod]
    public void Lion_FollowsItsFormula_InTheBody()
    {
        var parameter = new ParameterSpec("w", ElementType.Double, [3], true);
        var rule = new UpdateRule { LearningRate = 0.1, Links = [new ScaleByLion(), new AddDecayedWeights(0.5)] };
        double[] w = [1, -2, 0.5], m = [0, 0, 0];
        using var driver = new OptimizerDriver(
            TrainingPlan.ForOptimizer([parameter], new OptimizerOptions { Groups = [rule] }),
                new Dictionary<string, TensorData> { ["w"] = TensorData.From<double>(w, 3) });
        for (int t = 0; t < 6; t++)
        {
            double[] gradient = [Math.Sin(t), Math.Cos(2 * t), 0.1 - (0.05 * t)];
            driver.SetGradient("w", TensorData.From<double>(gradient, 3));
            driver.Step();
            for (int i = 0; i < w.Length; i++)
            {
                w[i] = (w[i] * (1 - (0.1 * 0.5))) - (0.1 * Math.Sign((0.9 * m[i]) + (0.1 * gradient[i])));
                m[i] = (0.99 * m[i]) + (0.01 * gradient[i]);
                Assert.AreEqual(w[i], driver.Get("w").ToDoubles()[i], 1e-12, $"step {t}, element {i}");
                Assert.AreEqual(m[i], driver.Get("w.exp_avg").ToDoubles()[i], 1e-12, $"step {t}, element {i}");
            }
        }
    }

    [TestMethod]
    public void StepOfAnyNumberOfParameters_IsAHandfulOfNodes()
    {
        static int Nodes(int count)
        {
            ParameterSpec[] parameters =
                [.. Enumerable.Range(0, count).Select(i => new ParameterSpec($"p{i}", ElementType.Float, [i + 1], i % 2 == 0))];
            TrainingPlan plan = TrainingPlan.ForOptimizer(parameters, new OptimizerOptions { MaxGradientNorm = 1 });
            return JoinUpdates.Run(plan, FlatLayout.Of(plan), KernelCatalog.Supports)!.Model.Graph.Nodes.Count;
        }
        Assert.AreEqual(Nodes(10), Nodes(300));
        Assert.IsLessThan(30, Nodes(10));
    }

    [TestMethod]
    public void KernelEqualsBody_ForAdaptiveBounds()
    {
        UpdateRule rule = Cpr(Regularizer.L1) with
        {
            Links = [new ScaleByAdam(),
            new ConstrainNorm { Regularizer = Regularizer.L1, Bound = Bound.TimesInitial(0.999), Adaptive = true }]
        };
        Agree(Run(rule, new DriverOptions { Threads = 2 }, 0, 0.5), Run(rule, new DriverOptions { Threads = 2, Kernels = false }, 0, 0.5));
    }
}
