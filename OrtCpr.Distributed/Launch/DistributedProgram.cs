using OrtCpr.Distributed.Launch;
using OrtCpr.Graph;

namespace OrtCpr.Distributed;

/// <summary>Runs a program as one of the processes that a launcher has started.</summary>
public static class DistributedProgram
{
    /// <summary>Whether <c>mpirun</c>, <c>mpiexec</c> or <c>srun</c> has started this process beside others.</summary>
    public static bool IsLaunched => RankEnvironment.Current.Size > 1;

    /// <summary>Number of this process among those of its machine, from 0: the GPU to take, as in <c>cuda:N</c>.</summary>
    public static int LocalRank => RankEnvironment.Current.LocalRank ?? RankEnvironment.Current.Rank;

    /// <summary>Processes of the job on this machine, at least 1, as far as the launcher tells: they share its cores.</summary>
    public static int LocalSize => RankEnvironment.Current.LocalSize;

    /// <summary>Runs a program with the collective of its processes: MPI under a launcher, else one process alone.</summary>
    /// <remarks>What it throws is written to standard error with the number of the rank, and ends the processes of all ranks: none waits
    /// for one that is lost.</remarks>
    /// <param name="program">The program; gives its exit code.</param>
    /// <returns>The program's exit code; 1 where it threw.</returns>
    public static int Run(Func<ICollective, int> program)
    {
        ArgumentNullException.ThrowIfNull(program);
        ICollective collective;
        try
        {
            collective = Open();
        }
        catch (CollectiveException error)
        {
            Console.Error.WriteLine(error.Message);
            return 1;
        }
        int code;
        try
        {
            code = program(collective);
        }
#pragma warning disable CA1031 // Whatever it is, the other ranks must not wait for this one.
        catch (Exception error)
#pragma warning restore CA1031
        {
            Console.Error.WriteLine($"rank {collective.Rank} of {collective.Size}: {(error is OrtCprException ? error.Message : error)}");
            code = 1;
        }
        if (code != 0 && collective.Size > 1)
        {
            Console.Out.Flush();
            Console.Error.Flush();
            collective.Abort(code);
        }
        collective.Dispose();
        return code;
    }

    /// <summary>The collective of the processes that a launcher has started, or of this process alone.</summary>
    /// <exception cref="CollectiveException">There is no MPI library, or it is not that of the launcher.</exception>
    public static ICollective Open() => IsLaunched ? MpiCollective.Open() : new SingleProcess();
}
