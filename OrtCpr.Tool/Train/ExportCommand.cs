using System.CommandLine;
using OrtCpr.Checkpoints;

namespace OrtCpr.Tool.Train;

// `ortcpr export JOB --out MODEL`: the model of a job with the weights of one of its checkpoints, for inference; or the job itself as a
// model with training_info.
internal static class ExportCommand
{
    public static Command Create()
    {
        Argument<string> job = new("JOB") { Description = "The --out folder of a run." };
        Option<string?> checkpoint =
            new("--checkpoint") { Description = "A checkpoint of the run, such as best.safetensors; the last one by default." };
        Option<string> target = new("--out") { Description = "The model.", DefaultValueFactory = _ => "model.onnx" };
        Option<bool> free = new("--free-batch")
        {
            Description = "Write a model that came with a fixed batch for batches of any size; where constants held the size, with "
                + "opset 18 or later.",
        };
        Option<bool> training = new("--training-info")
        {
            Description = "Write the whole job as a model with ONNX training_info: one iteration of training as a graph, with the "
                + "optimizer's state.",
        };
        Command command = new("export",
            "Writes the trained model of a run.\n\nExample:\n  ortcpr export trained --checkpoint trained/best.safetensors --out "
            + "best.onnx") { job, checkpoint, target, free, training };
        command.SetAction(r =>
        {
            using TrainingDriver driver = EvaluateCommand.Load(r.GetValue(job)!, new DriverOptions { Threads = 1 });
            if (r.GetValue(checkpoint) is string saved) TrainingCheckpoint.Load(driver, saved);
            if (!r.GetValue(training))
                driver.ExportModel(r.GetValue(target)!, r.GetValue(free));
            else if (r.GetValue(free))
                throw new ToolException("--training-info writes the job with the batch that it trains with; leave out --free-batch.");
            else
                TrainingInfo.Write(driver, r.GetValue(target)!);
            Console.WriteLine(r.GetValue(target));
            return 0;
        });
        return command;
    }
}
