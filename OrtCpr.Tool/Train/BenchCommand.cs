using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using OrtCpr.Sessions;
using OrtCpr.Tool.Gradcheck;

namespace OrtCpr.Tool.Train;

// `ortcpr bench MODEL`: time of a training step on a drawn batch.
internal static class BenchCommand
{
    public static Command Create()
    {
        Argument<string> model = new("MODEL") { Description = "An ONNX file." };
        Option<string[]> sizes =
            new("--size") { Description = "Size of a symbolic dimension, as batch=32.", AllowMultipleArgumentsPerToken = true };
        Option<string[]> ranges =
            new("--range") { Description = "Values of an integer input, as input_ids=0..100.", AllowMultipleArgumentsPerToken = true };
        Option<int> runs = new("--runs") { Description = "Steps that are timed.", DefaultValueFactory = _ => 20 };
        Option<int> threads = new("--threads") { Description = "Threads; 0 for one a physical core." };
        Option<string> device = new("--device") { Description = "cpu, cuda, cuda:N or webgpu:PATH.", DefaultValueFactory = _ => "cpu" };
        Option<string> profile =
            new("--profile")
            {
                Description = "Folder for ONNX Runtime's profile of each session, a JSON file for a trace viewer; steps "
                    + "take longer."
            };
        Option<string> kernels =
            new("--kernels") { Description = "on: fused kernels; off: the standard-operator bodies.", DefaultValueFactory = _ => "on" };
        kernels.AcceptOnlyFromAmong("on", "off");
        var job = new JobOptions();
        Command command = new("bench", "Time of a training step on a drawn batch.\n\nExample:\n  ortcpr bench resnet18.onnx --size "
            + "batch=32 --threads 2") { model, sizes, ranges, runs, threads, device, kernels, profile };
        job.AddTo(command);
        command.SetAction(r =>
        {
            if (r.GetValue(runs) < 1) throw new ToolException($"--runs is {r.GetValue(runs)}; expected at least 1.");
            long start = Stopwatch.GetTimestamp();
            using TrainingDriver driver =
                TrainingDriver.Create(r.GetValue(model)!, job.Read(r, null),
                new DriverOptions
                {
                    Threads = r.GetValue(threads),
                    Device = r.GetValue(device)!,
                    Kernels = r.GetValue(kernels) == "on",
                    Profiles = r.GetValue(profile),
                });
            foreach (string warning in driver.DeviceWarnings) Console.Error.WriteLine($"warning: {warning}");
            double built = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            using Batch batch = new SampleInputs(r.GetValue(sizes) ?? [], r.GetValue(ranges) ?? [], [], job.Seed(r))
                .For(driver.Plan.BatchInputs);
            double first = Time(() => driver.Step(batch));
            int count = r.GetValue(runs);
            double[] training = new double[count], optimizer = new double[count], all = new double[count], forward = new double[count];
            for (int i = 0; i < count; i++)
            {
                all[i] = Time(() =>
                {
                    driver.LazyResetGrad();
                    training[i] = Time(() => driver.TrainStep(batch));
                    optimizer[i] = Time(() => driver.OptimizerStep());
                });
            }
            string output = driver.Plan.ModelOutputs[0];
            driver.Predict(batch, output).Dispose();
            for (int i = 0; i < count; i++) forward[i] = Time(() => driver.Predict(batch, output).Dispose());
            foreach (double[] times in (double[][])[training, optimizer, all, forward]) Array.Sort(times);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"building {built:F0} ms, first step {first:F1} ms"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"step: median {all[count / 2]:F2} ms, fastest {all[0]:F2}, slowest {all[^1]:F2}, of {count}; "
                + $"forward and backward {training[count / 2]:F2}, optimizer {optimizer[count / 2]:F2}"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"prediction, forward alone: median {forward[count / 2]:F2} ms, fastest {forward[0]:F2}"));
            foreach (KernelReport body in driver.KernelReport.Where(k => k.BodyReason is not null)) Console.WriteLine(body);
            return 0;
        });
        return command;
    }

    private static double Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
