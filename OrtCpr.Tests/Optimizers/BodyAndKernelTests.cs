using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tests.Optimizers;

// The function body is the specification, the kernel the fast way: one optimizer graph over parameters of all lengths, run both ways.
[TestClass]
public sealed class BodyAndKernelTests
{
    // Both sides round in float32; several steps add up. Relative to the largest element, as for the PyTorch trajectories.
    private const double Relative = 1e-5, OfLargest = 4e-6;
    private const int Steps = 5;

    private static readonly int[] Lengths = [.. Enumerable.Range(0, 68), 1000, 1_000_003];

    private static float[] Values(int length, int seed, double centre, double spread)
    {
        var random = new Random((length * 31) + seed);
        return [.. Enumerable.Range(0, length).Select(_ => (float)(centre + (spread * ((random.NextDouble() * 2) - 1))))];
    }

    private static Dictionary<string, double[]> Run(UpdateRule rule, DriverOptions options, double centre, double spread, bool constrained = true)
    {
        ParameterSpec[] parameters = [.. Lengths.Select(n => new ParameterSpec($"p{n}", ElementType.Float, [n], constrained))];
        Dictionary<string, TensorData> initial = parameters.ToDictionary(p => p.Name, p => TensorData.From<float>(Values((int)p.ElementCount, 1, centre, spread), p.ElementCount));
        using var driver = new OptimizerDriver(OptimizerGraph.Build(parameters, new OptimizerOptions { Groups = [rule], NonFiniteGuard = false }), initial, options);
        for (int t = 0; t < Steps; t++)
        {
            foreach (ParameterSpec p in parameters) driver.Set(OptimizerGraph.GradientOf(p.Name), TensorData.From<float>(Values((int)p.ElementCount, 10 + t, 0, 0.1), p.ElementCount));
            driver.Step();
        }
        Dictionary<string, double[]> results = parameters.ToDictionary(p => p.Name, p => driver.Get(p.Name).ToDoubles());
        foreach (string state in driver.Graph.State.Select(s => s.Name)) results[state] = driver.Get(state).ToDoubles();
        return results;
    }

    private static void Agree(Dictionary<string, double[]> kernel, Dictionary<string, double[]> body)
    {
        foreach ((string name, double[] expected) in body)
        {
            double[] actual = kernel[name];
            double largest = expected.Where(v => !double.IsNaN(v)).Select(Math.Abs).DefaultIfEmpty(0).Max();
            // λ adds up the rounding of R − κ, times μ, over the steps.
            double extra = name == "cpr.lambda" ? 1e-5 * body["cpr.kappa"].Where(v => !double.IsNaN(v)).Select(Math.Abs).DefaultIfEmpty(0).Max() : 0;
            for (int i = 0; i < expected.Length; i++)
            {
                if (double.IsNaN(expected[i]) && double.IsNaN(actual[i])) continue;
                double allowed = (OfLargest * largest) + (Relative * Math.Abs(expected[i])) + extra;
                if (!(Math.Abs(expected[i] - actual[i]) <= allowed)) Assert.Fail($"{name}[{i}]: the body gives {expected[i]}, the kernel {actual[i]}; allowed {allowed}");
            }
        }
    }

    private static UpdateRule Cpr(Regularizer r, KappaInitMethod method = KappaInitMethod.Dependent, bool amsGrad = false, double decay = 0) => new()
    {
        LearningRate = 1e-2,
        Links =
        [
            new ScaleByAdam { AmsGrad = amsGrad },
            .. decay == 0 ? Array.Empty<UpdateLink>() : [new AddDecayedWeights(decay)],
            new ConstrainNorm
            {
                Regularizer = r,
                KappaInitMethod = method,
                KappaInitParam = method switch { KappaInitMethod.Dependent => 0.9, KappaInitMethod.WarmStart => 2, KappaInitMethod.Uniform => 0.05, _ => null },
                SampleInterval = 1,
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
        Dictionary<string, double[]> body = Run(rule, new DriverOptions { Threads = 2, Kernels = false }, 0, 0.5), one = Run(rule, new DriverOptions { Threads = 1 }, 0, 0.5), two = Run(rule, new DriverOptions { Threads = 2 }, 0, 0.5);
        Agree(one, body);
        foreach ((string name, double[] values) in one) CollectionAssert.AreEqual(values, two[name], $"{name} on one and two threads");
    }

    [TestMethod]
    public void KernelEqualsBody_ForStdAroundTen() =>
        Agree(Run(Cpr(Regularizer.Std), new DriverOptions { Threads = 2 }, 10, 0.17), Run(Cpr(Regularizer.Std), new DriverOptions { Threads = 2, Kernels = false }, 10, 0.17));

    [TestMethod]
    [DataRow(KappaInitMethod.Uniform, false, 0.0)]
    [DataRow(KappaInitMethod.WarmStart, true, 0.0)]
    [DataRow(KappaInitMethod.InflectionPoint, false, 0.1)]
    public void KernelEqualsBody_ForEveryBound(KappaInitMethod method, bool amsGrad, double decay)
    {
        UpdateRule rule = Cpr(Regularizer.L2, method, amsGrad, decay);
        Agree(Run(rule, new DriverOptions { Threads = 2 }, 0, 0.5), Run(rule, new DriverOptions { Threads = 2, Kernels = false }, 0, 0.5));
    }

    [TestMethod]
    public void KernelEqualsBody_ForAdamAndAdamW()
    {
        foreach (UpdateRule rule in new[] { UpdateRule.Adam(1e-2), UpdateRule.AdamW(1e-2, 0.1, new ScaleByAdam { AmsGrad = true }) })
            Agree(Run(rule, new DriverOptions { Threads = 2 }, 0, 0.5), Run(rule, new DriverOptions { Threads = 2, Kernels = false }, 0, 0.5));
    }

    [TestMethod]
    [DataRow(0.0, 0.0, false, 0.0)]
    [DataRow(0.9, 0.3, false, 0.05)]
    [DataRow(0.9, 0.0, true, 0.0)]
    public void KernelEqualsBody_ForSgd_WithAndWithoutCpr(double momentum, double dampening, bool nesterov, double decay)
    {
        var direction = new ScaleByMomentum(momentum, dampening, nesterov);
        foreach (ConstrainNorm? constraint in new[] { null, new ConstrainNorm { Regularizer = Regularizer.Huber, KappaInitMethod = KappaInitMethod.WarmStart, KappaInitParam = 2 } })
        {
            UpdateRule rule = UpdateRule.Sgd(1e-2, direction, decay, constraint);
            Agree(Run(rule, new DriverOptions { Threads = 2 }, 0, 0.5), Run(rule, new DriverOptions { Threads = 2, Kernels = false }, 0, 0.5));
        }
    }

    [TestMethod]
    public void KernelEqualsBody_ForAdaptiveBounds()
    {
        UpdateRule rule = Cpr(Regularizer.L1) with { Links = [new ScaleByAdam(), new ConstrainNorm { Regularizer = Regularizer.L1, KappaInitMethod = KappaInitMethod.Dependent, KappaInitParam = 0.999, Adaptive = true }] };
        Agree(Run(rule, new DriverOptions { Threads = 2 }, 0, 0.5), Run(rule, new DriverOptions { Threads = 2, Kernels = false }, 0, 0.5));
    }
}
