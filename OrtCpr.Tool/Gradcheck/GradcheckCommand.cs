using System.CommandLine;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;
using OrtCpr.Tool.Train;

namespace OrtCpr.Tool.Gradcheck;

// `ortcpr gradcheck MODEL`: analytic gradients against central differences, parameter by parameter.
internal static class GradcheckCommand
{
    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file." };
        Option<string> loss =
            new("--loss")
            {
                Description = $"One of {LossText.Kinds}, written {LossText.Grammar}.",
                DefaultValueFactory = _ =>
            "cross_entropy"
            };
        Option<string?> output = new("--output") { Description = "The model output that the loss takes; needed where there are several." };
        Option<string[]> parameters =
            new("--parameters")
            {
                Description = "Names of parameters to check; * and ? and regex: are understood. Default: all that are "
                    + "trained.",
                AllowMultipleArgumentsPerToken = true
            };
        Option<string[]> sizes =
            new("--size") { Description = "Size of a symbolic dimension, as batch=4. Default 2.", AllowMultipleArgumentsPerToken = true };
        Option<string[]> ranges = new("--range")
        {
            Description = "Values of an integer input, as input_ids=0..100, both ends included. "
                + "Default 0..1.",
            AllowMultipleArgumentsPerToken = true
        };
        Option<string[]> inputs = new("--input")
        {
            Description = "Values of an input, as NAME=FILE.safetensors with a tensor of that "
                + "name.",
            AllowMultipleArgumentsPerToken = true
        };
        Option<int> directions =
            new("--directions")
            {
                Description = "Directions a parameter; the first is that of the gradient.",
                DefaultValueFactory = _ =>
            3
            };
        Option<int> seed = new("--seed") { Description = "Seed of inputs and directions." };
        Command command = new("gradcheck",
            "Compares gradients with central differences of the loss, in float64 where every operator can be computed in it. What "
            + "the model draws is held, and a kink is told from a wrong gradient.\n\nExample:\n  ortcpr gradcheck gpt2.onnx --size "
            + "batch=2 --size "
            + "sequence=16 --range input_ids=0..100") { model, loss, output, parameters, sizes, ranges, inputs, directions, seed };
        command.SetAction(r => Run(
            r.GetValue(model)!,
            new TrainingOptions
            {
                Loss = LossText.Parse([r.GetValue(loss)!], new LossDefaults { Output = r.GetValue(output) }),
                Parameters = new ParameterOptions { TrainOnly = [.. (r.GetValue(parameters) ?? []).Select(NamePattern.FromString)] },
                // The loss must be one function: no masks that change from step to step.
                Dropout = DropoutMode.Inference,
                Seed = r.GetValue(seed),
                Optimizer = new OptimizerOptions { Groups = [UpdateRule.Sgd(0)] },
            },
            new SampleInputs(r.GetValue(sizes) ?? [], r.GetValue(ranges) ?? [], r.GetValue(inputs) ?? [], r.GetValue(seed)),
            r.GetValue(directions),
            r.GetValue(seed)));
        return command;
    }

    private static int Run(string path, TrainingOptions options, SampleInputs inputs, int directions, int seed)
    {
        if (directions < 1) throw new ToolException($"--directions is {directions}; expected at least 1.");
        Dictionary<string, TensorData> known = Draws(path, inputs, seed, out byte[]? held);
        using TrainingDriver driver = Open(path, held, options, out bool isDouble);
        using Batch batch = inputs.For(driver.Plan.BatchInputs, known);
        var check = new DifferenceCheck(driver, batch, isDouble, seed);
        Console.WriteLine(isDouble ? "float64 copy of the model"
            : "float32: an operator of the model has no kernel in float64. Its wide steps may cross a kink of Relu and the like: what "
            + "fails with one --seed only is no wrong gradient");
        if (driver.Plan.Evaluation.Graph.NodesAndInner().Any(n => n.OpType == "QuantizeLinear"))
        {
            Console.WriteLine("QuantizeLinear passes its gradient straight through, which is no derivative of its steps: parameters in "
                + "front of it cannot agree with differences");
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"relative error allowed: {check.Tolerance:G2}\n"));
        int width = Math.Max(9, driver.Plan.Parameters.Trained.Max(p => p.Name.Length));
        Console.WriteLine($"{"parameter".PadRight(width)}  {"analytic",14}  {"numeric",14}  {"rel. error",10}  verdict");
        int wrong = 0, kinks = 0, all = 0;
        foreach (ParameterInfo p in driver.Plan.Parameters.Trained)
        {
            foreach (Difference d in check.Of(p.Name, directions))
            {
                all++;
                if (d.Verdict == Verdict.Fail) wrong++;
                if (d.Verdict == Verdict.Kink) kinks++;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{p.Name.PadRight(width)}  {d.Analytic,14:G7}  {d.Numeric,14:G7}  {d.RelativeError,10:E1}  "
                    + $"{(d.Verdict == Verdict.Fail ? "FAIL" : d.Verdict.ToString().ToLowerInvariant())}"));
            }
        }
        Console.WriteLine($"\n{all - wrong - kinks} of {all} passed{(kinks == 0 ? "" : $", {kinks} at a kink, where the slopes of both "
            + "sides differ: the gradient lies between them, or is right a little beside")}");
        return wrong == 0 ? 0 : 1;
    }

    // What the model draws, held: its loss must be one function. The other inputs are drawn before, since the draws may depend on them.
    private static Dictionary<string, TensorData> Draws(string path, SampleInputs inputs, int seed, out byte[]? held)
    {
        var known = new Dictionary<string, TensorData>(StringComparer.Ordinal);
        held = null;
        if (HeldDraws.Of(path, seed) is not HeldDraws draws) return known;
        foreach (BatchInput input in draws.Inputs) known[input.Name] = inputs.Value(input);
        try
        {
            using var session = new InferenceSession(draws.Drawing());
            using var run = new RunOptions();
            using var batch = new Batch();
            foreach (string input in session.InputNames) batch.Add(input, known[input]);
            string[] names = [.. session.InputNames];
            using IDisposableReadOnlyCollection<OrtValue> results =
                session.Run(run, names, [.. names.Select(n => batch.Tensors[n])], draws.Names);
            for (int i = 0; i < results.Count; i++) known[draws.Names[i]] = Device.ReadOnHost(results[i]);
        }
        catch (OnnxRuntimeException error)
        {
            throw new ToolException($"'{path}': {string.Join(", ", draws.Names)} cannot be drawn once to be held: {error.Message}");
        }
        held = draws.Held(known);
        Console.WriteLine($"held at one draw: {string.Join(", ", draws.Names)}");
        return known;
    }

    private static TrainingDriver Open(string path, byte[]? held, TrainingOptions options, out bool isDouble)
    {
        var single = new DriverOptions { Threads = 1 };
        try
        {
            isDouble = true;
            TrainingPlan plan = TrainingGraphBuilder.Build(held is null ? DoubleModel.Of(path, options.Seed)
                : DoubleModel.Of(held), options);
            DoubleProducts.Run(plan.Training);
            return new TrainingDriver(plan, single);
        }
        catch (OrtCprException error) when (error is not OptionException)
        {
            isDouble = false;
            return new TrainingDriver(held is null ? TrainingGraphBuilder.Build(path, options)
                : TrainingGraphBuilder.Build(held, options), single);
        }
    }
}
